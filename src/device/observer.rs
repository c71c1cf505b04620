//! Who hears of a device: one who reads notices, a fleet that waits for all.

use tokio::sync::{mpsc, watch};

use super::notice::Notice;

/// How far the devices of a fleet are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Devices that should connect.
    pub expected: usize,
    /// Those that have connected and whose first report the hub has taken.
    pub ready: usize,
    /// Those that the hub has refused; they keep trying, slowly.
    pub refused: usize,
}

impl Readiness {
    /// Has every device either reported or been refused?
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.ready + self.refused >= self.expected
    }
}

/// Passes on what a device tells; never makes it wait.
#[derive(Debug)]
pub(super) struct Observer {
    device_id: String,
    notices: Option<mpsc::Sender<Notice>>,
    fleet: Option<watch::Sender<Readiness>>,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unknown,
    Refused,
    Ready,
}

impl Observer {
    pub(super) fn new(
        device_id: &str,
        notices: Option<mpsc::Sender<Notice>>,
        fleet: Option<watch::Sender<Readiness>>,
    ) -> Self {
        Self {
            device_id: device_id.to_owned(),
            notices,
            fleet,
            standing: Standing::Unknown,
        }
    }

    /// A notice is lost when its reader lags: the device goes on.
    pub(super) fn tell(&self, notice: Notice) {
        tracing::debug!(device = %self.device_id, "{notice}");
        if let Some(notices) = &self.notices {
            let _ = notices.try_send(notice);
        }
    }

    pub(super) fn ready(&mut self) {
        self.stand(Standing::Ready);
    }

    pub(super) fn refused(&mut self) {
        if self.standing == Standing::Unknown {
            self.stand(Standing::Refused);
        }
    }

    fn stand(&mut self, now: Standing) {
        let before = std::mem::replace(&mut self.standing, now);
        let (Some(fleet), true) = (&self.fleet, before != now) else {
            return;
        };
        fleet.send_modify(|readiness| {
            match before {
                Standing::Unknown => {}
                Standing::Refused => readiness.refused -= 1,
                Standing::Ready => readiness.ready -= 1,
            }
            match now {
                Standing::Unknown => {}
                Standing::Refused => readiness.refused += 1,
                Standing::Ready => readiness.ready += 1,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_counts_once_and_a_refused_one_may_come_back() {
        let (fleet, readiness) = watch::channel(Readiness {
            expected: 2,
            ..Readiness::default()
        });
        let mut first = Observer::new("a", None, Some(fleet.clone()));
        let mut second = Observer::new("b", None, Some(fleet));
        first.ready();
        first.ready();
        first.refused();
        assert_eq!(readiness.borrow().ready, 1);
        assert!(!readiness.borrow().is_settled());
        second.refused();
        second.refused();
        assert!(readiness.borrow().is_settled());
        second.ready();
        let now = *readiness.borrow();
        assert_eq!((now.ready, now.refused), (2, 0));
    }
}
