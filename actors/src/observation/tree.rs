//! The tree of actors and lists of the busiest, read from counters.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::observation::{ActorKind, ActorNode, ActorState, Counts};
use crate::time::Moment;

/// Siblings above this number are shown as one line.
const SIBLINGS_MAX: usize = 50;
/// A page of a list never has more actors than this.
const PAGE_MAX: usize = 200;

/// One actor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActorView {
    /// Its id on this node.
    pub id: u32,
    /// Its place in the tree.
    pub path: String,
    /// What kind it is.
    pub kind: ActorKind,
    /// The protocol it understands; empty for a supervisor.
    pub protocol: String,
    /// Where it is in its life.
    pub state: ActorState,
    /// How often it was started.
    pub incarnation: u32,
    /// Age of this incarnation in milliseconds.
    pub age_ms: u64,
    /// How long its handler has been waiting for something, in milliseconds; zero if it is not.
    pub busy_ms: u64,
    /// Its counters.
    pub counts: Counts,
}

/// One actor with those it supervises.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TreeNode {
    /// The last part of the path.
    pub name: String,
    /// The actor.
    pub actor: ActorView,
    /// Those it supervises.
    pub children: Vec<TreeNode>,
    /// How many more children there are than shown.
    pub hidden_children: usize,
}

/// All services of one protocol, added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolSummary {
    /// The protocol.
    pub protocol: String,
    /// Services that live; the workers of a pool count as one.
    pub services: u64,
    /// Their counters: sums, but for the age of the oldest message, which is the greatest.
    pub counts: Counts,
    /// The most messages that wait at one of them.
    pub depth_max: u64,
}

/// What a list of actors is sorted by, largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKey {
    /// Messages that wait.
    Depth,
    /// Age of the oldest waiting message.
    Oldest,
    /// Messages received.
    Received,
    /// Messages refused.
    Shed,
    /// Crashes.
    Crashes,
    /// Time the current handler has been waiting.
    Busy,
}

/// Every actor that was started and has not ended for good.
#[derive(Default)]
pub(crate) struct Registry {
    actors: RwLock<HashMap<u32, Arc<ActorNode>>>,
}

impl Registry {
    pub(crate) fn add(&self, node: &Arc<ActorNode>) {
        self.actors.write().insert(node.id, node.clone());
    }

    pub(crate) fn remove(&self, id: u32) {
        self.actors.write().remove(&id);
    }

    /// Removes everything below an actor that was killed: it could not tell its children.
    pub(crate) fn remove_below(&self, id: u32) {
        let mut actors = self.actors.write();
        let mut parents = vec![id];
        while let Some(parent) = parents.pop() {
            let below: Vec<u32> = actors
                .values()
                .filter(|node| node.parent() == parent)
                .map(|node| node.id)
                .collect();
            for child in below {
                actors.remove(&child);
                parents.push(child);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.actors.read().len()
    }

    pub(crate) fn nodes(&self) -> Vec<Arc<ActorNode>> {
        self.actors.read().values().cloned().collect()
    }

    pub(crate) fn find(&self, path: &str) -> Option<ActorView> {
        let node = self.actors.read().values().find(|node| *node.path() == *path).cloned()?;
        Some(view(&node))
    }

    pub(crate) fn top(&self, count: usize, key: SortKey) -> Vec<ActorView> {
        let mut keyed: Vec<(u64, Arc<ActorNode>)> = self
            .nodes()
            .into_iter()
            .filter(|node| node.kind != ActorKind::Supervisor)
            .map(|node| (rank(&node, key), node))
            .collect();
        keyed.sort_by_key(|(rank, node)| (std::cmp::Reverse(*rank), node.id));
        keyed.iter().take(count.min(PAGE_MAX)).map(|(_, node)| view(node)).collect()
    }

    /// The services by protocol, in the order of names.
    pub(crate) fn protocols(&self) -> Vec<ProtocolSummary> {
        let mut protocols: BTreeMap<&'static str, ProtocolSummary> = BTreeMap::new();
        for node in self.nodes().into_iter().filter(|node| node.kind == ActorKind::Service) {
            let counts = node.counts();
            let summary = protocols.entry(node.protocol).or_insert_with(|| ProtocolSummary {
                protocol: node.protocol.to_owned(),
                services: 0,
                counts: Counts::default(),
                depth_max: 0,
            });
            summary.services += 1;
            summary.counts.add(&counts);
            summary.depth_max = summary.depth_max.max(counts.depth);
        }
        protocols.into_values().collect()
    }

    pub(crate) fn tree(&self, nodes_max: usize) -> Vec<TreeNode> {
        let mut children: HashMap<u32, Vec<Arc<ActorNode>>> = HashMap::new();
        for node in self.nodes() {
            children.entry(node.parent()).or_default().push(node);
        }
        for siblings in children.values_mut() {
            siblings.sort_by_key(|node| node.id);
        }
        let mut left = nodes_max;
        branch(0, &children, &mut left).0
    }
}

fn branch(
    parent: u32,
    children: &HashMap<u32, Vec<Arc<ActorNode>>>,
    left: &mut usize,
) -> (Vec<TreeNode>, usize) {
    let Some(siblings) = children.get(&parent) else { return (Vec::new(), 0) };
    let shown = siblings.len().min(SIBLINGS_MAX).min(*left);
    *left -= shown;
    let nodes = siblings[..shown]
        .iter()
        .map(|node| {
            let (below, hidden_children) = branch(node.id, children, left);
            TreeNode {
                name: node.name().to_owned(),
                actor: view(node),
                children: below,
                hidden_children,
            }
        })
        .collect();
    (nodes, siblings.len() - shown)
}

fn rank(node: &ActorNode, key: SortKey) -> u64 {
    let counts = node.counts();
    match key {
        SortKey::Depth => counts.depth,
        SortKey::Oldest => counts.oldest_ms,
        SortKey::Received => counts.received,
        SortKey::Shed => counts.shed,
        SortKey::Crashes => counts.crashes,
        SortKey::Busy => busy_ms(node),
    }
}

fn busy_ms(node: &ActorNode) -> u64 {
    match node.busy_since_nanos() {
        0 => 0,
        since => Moment::now().as_nanos().saturating_sub(since) / 1_000_000,
    }
}

pub(crate) fn view(node: &ActorNode) -> ActorView {
    ActorView {
        id: node.id,
        path: node.path().to_string(),
        kind: node.kind,
        protocol: node.protocol.to_owned(),
        state: node.state(),
        incarnation: node.incarnation(),
        age_ms: Moment::now().as_nanos().saturating_sub(node.started_nanos()) / 1_000_000,
        busy_ms: busy_ms(node),
        counts: node.counts(),
    }
}
