//! The claim about time: an answer comes before its deadline, or the node was not able to give one.

use crate::checker::Claim;
use crate::evidence::{Evidence, Interruption};
use crate::journal::{Entry, Outcome, Try};

/// How much later than the deadline an answer may arrive at the client: the machine is shared by all
/// servers, the nodes and the clients.
const ON_THE_WAY_MS: u64 = 4_000;
/// After a node went on, what was under way in it is answered within this.
const AFTER_INTERRUPTION_MS: u64 = 5_000;

/// No answer after its deadline, and no silence where a node could answer.
pub(crate) fn check(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("no answer comes after its deadline, and none stays away");
    for entry in entries {
        for request in &entry.tries {
            let late = request.took_ms > request.within_ms + ON_THE_WAY_MS;
            let silent = request.outcome == Outcome::Silent;
            let excused = || interrupted(request, &evidence.interruptions);
            claim.check(!(late || silent) || excused(), || {
                format!(
                    "{:?} {} at {} ms to node {}: {:?} after {} ms",
                    entry.operation,
                    entry.key,
                    request.sent_ms,
                    request.node + 1,
                    request.outcome,
                    request.took_ms
                )
            });
        }
    }
    claim
}

/// Whether the node was killed or paused while the request was under way.
fn interrupted(request: &Try, interruptions: &[Interruption]) -> bool {
    let due = request.sent_ms + request.within_ms;
    interruptions.iter().any(|each| {
        each.node == request.node
            && each.from_ms <= due
            && each.to_ms + AFTER_INTERRUPTION_MS >= request.sent_ms
    })
}
