//! What a step of a case says, as the types of the worker, and a reply as JSON.

use redis::{Value as Reply, from_redis_value};
use reelway_kernel::worker::{
    Beat, Child, Commit, Fail, FailClass, Grant, OnChildFailure, Outcome, Release, Spawn,
};
use serde_json::{Value, json};

pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
        .to_owned()
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap();
    list.iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn number<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).ok().unwrap()
}

/// A raw reply as JSON.
pub(crate) fn plain(reply: Reply) -> Value {
    match reply {
        Reply::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Reply::Int(number) => json!(number),
        Reply::Nil => Value::Null,
        other => json!(from_redis_value::<String>(other).unwrap()),
    }
}

pub(crate) fn matches(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len()
                && expected
                    .iter()
                    .zip(actual)
                    .all(|(expected, actual)| matches(expected, actual))
        }
        _ => expected == actual,
    }
}

pub(crate) fn as_json(grant: &Grant) -> Value {
    json!({
        "job": grant.job, "fence": grant.fence, "stage": grant.stage, "tenant": grant.tenant,
        "kind": grant.kind, "attempt": grant.attempt, "crashes": grant.crashes,
        "deadline_ms": grant.deadline_ms, "lane": grant.lane, "priority": grant.priority,
        "percent": grant.percent, "parent": grant.parent, "children": grant.children, "spec": String::from_utf8_lossy(&grant.spec),
        "input": String::from_utf8_lossy(&grant.input), "refs": grant.refs,
    })
}

pub(crate) fn beat(item: &Value) -> Beat {
    let percent = item.get("percent").map(|percent| match percent {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    });
    Beat {
        job: text(item, "job"),
        fence: text(item, "fence"),
        percent,
        progress: item["progress"].as_str().unwrap_or("{}").into(),
    }
}

pub(crate) fn commit(item: &Value) -> Commit {
    let rescue = item["rescue"].as_bool().unwrap_or(false);
    let result = match text(item, "kind").as_str() {
        "next" => Outcome::Next {
            stage: text(item, "stage"),
            lane: text(item, "lane"),
            rescue,
            input: text(item, "body").into(),
            refs: texts(&item["refs"]),
        },
        "split" => Outcome::Split {
            stage: text(item, "stage"),
            lane: text(item, "lane"),
            rescue,
            reach: item["reach"].as_f64().unwrap_or(100.0),
            input: text(item, "body").into(),
            refs: texts(&item["refs"]),
        },
        _ => Outcome::Done {
            result: text(item, "body").into(),
            event: text(item, "data").into(),
        },
    };
    Commit {
        job: text(item, "job"),
        fence: text(item, "fence"),
        result,
        percent: item["percent"]
            .as_str()
            .map(|percent| percent.parse().unwrap()),
    }
}

pub(crate) fn fail(item: &Value) -> Fail {
    let classes = [
        FailClass::Transient,
        FailClass::Stalled,
        FailClass::Throttled,
        FailClass::Permanent,
    ];
    let class = text(item, "class");
    Fail {
        job: text(item, "job"),
        fence: text(item, "fence"),
        class: classes
            .into_iter()
            .find(|known| known.name() == class)
            .unwrap(),
        delay_ms: number(&item["delay_ms"]),
        budget: number(&item["budget"]),
        error: text(item, "error").into(),
        reason: text(item, "reason").into(),
    }
}

pub(crate) fn release(item: &Value) -> Release {
    Release {
        job: text(item, "job"),
        fence: text(item, "fence"),
        reason: text(item, "reason").into(),
    }
}

pub(crate) fn spawn(asked: &Value) -> Spawn {
    let or = |child: &Value, name: &str, usual: &str| -> String {
        child[name].as_str().unwrap_or(usual).to_owned()
    };
    let children = asked["children"].as_array().unwrap();
    Spawn {
        job: text(asked, "job"),
        fence: text(asked, "fence"),
        on_child_failure: match asked["on_child_failure"].as_str() {
            Some("fail") => OnChildFailure::Fail,
            _ => OnChildFailure::GoOn,
        },
        children: children
            .iter()
            .map(|child| Child {
                number: number(&child["number"]),
                kind: or(child, "kind", "media"),
                stage: text(child, "stage"),
                lane: or(child, "lane", "cpu"),
                rescue: child["rescue"].as_bool().unwrap_or(false),
                priority: child["priority"].as_str().map(str::to_owned),
                listed: child["listed"].as_bool().unwrap_or(false),
                spec: or(child, "spec", "{}").into(),
                input: or(child, "input", "{}").into(),
                refs: child.get("refs").map(texts).unwrap_or_default(),
            })
            .collect(),
    }
}
