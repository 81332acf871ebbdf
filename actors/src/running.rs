//! A running system: its root, its tick, and the end of both.

use std::sync::Arc;

use ractor::{ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cores::CoreThreads;
use crate::failure::Failure;
use crate::observation::ActorState;
use crate::spec::{ChildSpec, Place, StopMode, start_failure};
use crate::system::System;

/// A started tree of actors.
pub struct Running {
    system: System,
    root: ChildSpec,
    cell: ActorCell,
    guardian: ActorRef<()>,
    failed: watch::Receiver<bool>,
    tasks: JoinSet<()>,
    _cores: Arc<CoreThreads>,
}

impl Running {
    pub(crate) async fn start(system: System, root: ChildSpec) -> Result<Self, Failure> {
        let cores = system.shared.cores.start()?;
        let mut tasks = JoinSet::new();
        system.start_ticking(&mut tasks);
        let (report, failed) = watch::channel(false);
        let (guardian, _) = ractor::Actor::spawn(None, Guardian, report)
            .await
            .map_err(|error| start_failure(error, root.starter.node()))?;
        let place = Place {
            supervisor: guardian.get_cell(),
            id: 0,
            path: format!("/{}", system.name()).into(),
        };
        let started = root.starter.start(place).await;
        match started {
            Ok(cell) => Ok(Self { system, root, cell, guardian, failed, tasks, _cores: cores }),
            Err(failure) => {
                root.starter.abandon();
                guardian.stop(None);
                Err(failure)
            }
        }
    }

    /// The system.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Resolves when the root itself has failed: nobody is left to restart it.
    pub async fn failed(&self) {
        let mut failed = self.failed.clone();
        // An error means that the guardian is gone, which is a failure as well.
        drop(failed.wait_for(|failed| *failed).await);
    }

    /// Whether the root runs.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !*self.failed.borrow() && self.root.starter.node().state() == ActorState::Running
    }

    /// Stops everything in reverse order: each actor finishes what waits, within its deadline.
    pub async fn shutdown(mut self) {
        let within = self.root.stop_time();
        self.root.starter.stop(self.cell.clone(), StopMode::Drain, within).await;
        self.root.starter.abandon();
        self.guardian.stop(None);
        self.tasks.shutdown().await;
    }
}

/// Stands above the root and notes its end.
struct Guardian;

impl ractor::Actor for Guardian {
    type Msg = ();
    type State = watch::Sender<bool>;
    type Arguments = watch::Sender<bool>;

    async fn pre_start(
        &self,
        _myself: ActorRef<()>,
        report: watch::Sender<bool>,
    ) -> Result<watch::Sender<bool>, ActorProcessingErr> {
        Ok(report)
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<()>,
        event: SupervisionEvent,
        report: &mut watch::Sender<bool>,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorTerminated(..) | SupervisionEvent::ActorFailed(..) = event {
            report.send_replace(true);
        }
        Ok(())
    }
}
