//! Reading the replies of the worker's verbs.

use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, Value, from_redis_value};

use crate::items::{Grant, Taken};

/// The answer of `take`.
pub(crate) fn taken(reply: Value) -> RedisResult<Taken> {
    type Raw = (Vec<Value>, Vec<String>, Vec<String>, u8);
    let (grants, bells, paused, clear): Raw = from_redis_value(reply)?;
    Ok(Taken {
        grants: grants.into_iter().map(grant).collect::<RedisResult<_>>()?,
        bells: bells
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect(),
        paused,
        clear: clear == 1,
    })
}

fn grant(reply: Value) -> RedisResult<Grant> {
    let fields: Vec<Value> = from_redis_value(reply)?;
    let count = fields.len();
    let [
        job,
        fence,
        stage,
        tenant,
        kind,
        attempt,
        crashes,
        deadline,
        lane,
        priority,
        percent,
        parent,
        children,
        spec,
        input,
        refs,
    ] = <[Value; 16]>::try_from(fields)
        .map_err(|_| unexpected(format!("a grant of {count} fields")))?;
    let refs: String = from_redis_value(refs)?;
    Ok(Grant {
        job: from_redis_value(job)?,
        fence: from_redis_value(fence)?,
        stage: from_redis_value(stage)?,
        tenant: from_redis_value(tenant)?,
        kind: from_redis_value(kind)?,
        attempt: from_redis_value(attempt)?,
        crashes: from_redis_value(crashes)?,
        deadline_ms: from_redis_value(deadline)?,
        lane: from_redis_value(lane)?,
        priority: from_redis_value(priority)?,
        percent: from_redis_value(percent)?,
        parent: from_redis_value(parent)?,
        children: from_redis_value(children)?,
        spec: bytes(spec)?,
        input: bytes(input)?,
        refs: serde_json::from_str(&refs).map_err(|error| unexpected(format!("refs: {error}")))?,
    })
}

/// A body; one that the job does not have is empty.
fn bytes(value: Value) -> RedisResult<Vec<u8>> {
    Option::<Vec<u8>>::from_redis_value(value)
        .map(Option::unwrap_or_default)
        .map_err(Into::into)
}

pub(crate) fn unexpected(detail: String) -> RedisError {
    (ErrorKind::UnexpectedReturnType, "unexpected reply", detail).into()
}
