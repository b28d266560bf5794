//! What travels in `spawn`, and what a parent knows of its children.

/// One child to create: the job `<parent>.<number>`.
#[derive(Clone, Debug)]
pub struct Child {
    /// From 1, without gaps.
    pub number: u32,
    /// `media`.
    pub kind: String,
    /// Its first stage.
    pub stage: String,
    /// The lane of that.
    pub lane: String,
    /// Whether it may leave the gpu lane when no gpu worker is left.
    pub rescue: bool,
    /// `high`, `normal` or `low`; `None`: the parent's.
    pub priority: Option<String>,
    /// Whether it has a place in listings, feeds and webhooks.
    pub listed: bool,
    /// What the client asked for, JSON.
    pub spec: Vec<u8>,
    /// Its input, JSON.
    pub input: Vec<u8>,
    /// Paths that it needs.
    pub refs: Vec<String>,
}

/// What the failure of a child does to its parent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnChildFailure {
    /// Nothing: the parent reads how each child ended.
    GoOn,
    /// The first failed or expired child ends the parent `failed`.
    Fail,
}

impl OnChildFailure {
    /// The kernel's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GoOn => "go_on",
            Self::Fail => "fail",
        }
    }
}

/// Children of one running job, at most [`CHILDREN_PER_CALL`].
#[derive(Clone, Debug)]
pub struct Spawn {
    /// The parent.
    pub job: String,
    /// Under which it runs.
    pub fence: String,
    /// What a failure does.
    pub on_child_failure: OnChildFailure,
    /// The children.
    pub children: Vec<Child>,
}

/// Children of one call.
pub const CHILDREN_PER_CALL: usize = 100;

/// The answer of one `spawn`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spawned {
    /// `OK`, or why nothing was created: `CANCELLED`, `FENCED`, `ALREADY`, `GONE` as for ends, or `DEEP`:
    /// children have children at most three times.
    pub status: String,
    /// For each child `OK`, `EXISTS` or `MANY` (a number beyond 10 000).
    pub outcomes: Vec<String>,
}

/// What a parent knows of one child.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChildRow {
    /// Its number.
    pub number: u32,
    /// Its id.
    pub job: String,
    /// `open`, or its end: `completed`, `failed`, `cancelled` or `expired`.
    pub state: String,
    /// Under which it ended; part of the path of its results. Empty while it is open.
    pub fence: String,
}
