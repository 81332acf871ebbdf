//! Jobs as people see them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_kernel::{TenantId, Timestamp, Uuid};

/// Where a job stands. A job that was done is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its time, a free place or its key.
    Waiting,
    /// A process works on it.
    Running,
    /// Its attempts are used up; a person decides.
    Dead,
}

impl JobState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A text that is no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAState;

impl FromStr for JobState {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        match text {
            "waiting" => Ok(Self::Waiting),
            "running" => Ok(Self::Running),
            "dead" => Ok(Self::Dead),
            _ => Err(NotAState),
        }
    }
}

/// A job in the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id; it sorts by the time of adding.
    pub id: Uuid,
    /// Its queue.
    pub queue: String,
    /// Which handler does it.
    pub kind: String,
    /// What the handler needs to know.
    pub payload: Value,
    /// Where it stands.
    pub state: JobState,
    /// At most one job of a key runs.
    pub key: Option<String>,
    /// At most one job with this value waits or runs.
    pub unique: Option<String>,
    /// The tenant it is done for.
    pub tenant: Option<TenantId>,
    /// W3C `traceparent` of its cause.
    pub trace: Option<String>,
    /// Attempts so far, the running one included.
    pub attempts: u16,
    /// Attempts it has.
    pub attempts_max: u16,
    /// Not before this time.
    pub run_at: Timestamp,
    /// How the last attempt failed.
    pub last_error: Option<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Which jobs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFilter {
    /// Of this queue only.
    pub queue: Option<String>,
    /// In this state only.
    pub state: Option<JobState>,
}

/// How many jobs of a queue are in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStats {
    /// The queue.
    pub queue: String,
    /// The state.
    pub state: JobState,
    /// How many.
    pub jobs: u64,
    /// When the first of them was or is due.
    pub first_due: Option<Timestamp>,
    /// Whether a queue actor of this node works on it.
    pub served: bool,
}
