//! How much strangers, their networks, regulars and trunks may send: what control sets, and how the driver
//! reads it.

use std::time::Duration;

use crate::abi::{self, FLOWS_OF_ADDRESS, FLOWS_OF_NETWORK, METERS, Settings};

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many in the long run; 0 is no limit at all.
    pub count: u32,
    /// In so long.
    pub per: Duration,
    /// At once, after silence; 0 is never.
    pub burst: u32,
    /// Who goes over stays out until he was silent for so long; zero: until his budget fills again.
    pub silence: Duration,
}

impl Rate {
    /// No limit.
    pub const NONE: Self =
        Self { count: 0, per: Duration::ZERO, burst: 1, silence: Duration::ZERO };

    /// Not one.
    pub const NEVER: Self =
        Self { count: 1, per: Duration::from_secs(1), burst: 0, silence: Duration::ZERO };

    /// So many in a second, and so many at once.
    #[must_use]
    pub const fn per_second(count: u32, burst: u32) -> Self {
        Self { count, per: Duration::from_secs(1), burst, silence: Duration::ZERO }
    }

    /// What the driver reads, as people say it.
    pub(crate) fn read(limit: &abi::Limit) -> Self {
        let Some(burst) = limit.tolerance_ns.checked_div(limit.interval_ns) else {
            return Self::NONE;
        };
        let second = Duration::from_secs(1);
        let interval = Duration::from_nanos(limit.interval_ns);
        let (count, per) = match second.as_nanos() as u64 / limit.interval_ns {
            0 => (1, interval),
            count => (u32::try_from(count).unwrap_or(u32::MAX), second),
        };
        let burst = u32::try_from(burst).unwrap_or(u32::MAX);
        Self { count, per, burst, silence: Duration::from_nanos(limit.renew_ns) }
    }

    fn limit(self) -> abi::Limit {
        if self.count == 0 {
            return abi::Limit::default();
        }
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // Never 0, which would be no limit; the lowest bit of a time says something else.
        let interval_ns = (ns(self.per) / u64::from(self.count)).max(2);
        let tolerance_ns = interval_ns.saturating_mul(self.burst.into());
        abi::Limit { interval_ns, tolerance_ns, renew_ns: ns(self.silence) }
    }
}

/// As people say it: `off`, `never`, `10/s burst 20`, `20/60s burst 19 silence 60s`.
impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.count == 0 {
            return f.write_str("off");
        }
        if self.burst == 0 {
            return f.write_str("never");
        }
        match self.per.as_secs() {
            1 => write!(f, "{}/s", self.count)?,
            seconds => write!(f, "{}/{seconds}s", self.count)?,
        }
        write!(f, " burst {}", self.burst)?;
        match self.silence.as_secs() {
            0 => Ok(()),
            seconds => write!(f, " silence {seconds}s"),
        }
    }
}

/// What is wrong with the text of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is off, never, or like 10/s burst 20, or 20/60s burst 19 silence 60s")]
pub struct RateFault;

/// Longest time of a rate.
const DAY_S: u64 = 86_400;
/// Highest count of a rate, and its highest burst.
const COUNT_MAX: u32 = 1_000_000;

impl std::str::FromStr for Rate {
    type Err = RateFault;

    fn from_str(text: &str) -> Result<Self, RateFault> {
        let mut words = text.split_whitespace();
        let rate = match words.next().ok_or(RateFault)? {
            "off" => Self::NONE,
            "never" => Self::NEVER,
            first => {
                let (count, per) = first.split_once('/').ok_or(RateFault)?;
                let per = if per == "s" { Duration::from_secs(1) } else { seconds(per)? };
                let count = number(count)?;
                let mut rate = Self { count, per, burst: count, silence: Duration::ZERO };
                while let Some(word) = words.next() {
                    let value = words.next().ok_or(RateFault)?;
                    match word {
                        "burst" => rate.burst = number(value)?,
                        "silence" => rate.silence = seconds(value)?,
                        _ => return Err(RateFault),
                    }
                }
                rate
            }
        };
        words.next().map_or(Ok(rate), |_| Err(RateFault))
    }
}

fn number(text: &str) -> Result<u32, RateFault> {
    text.parse().ok().filter(|number| (1..=COUNT_MAX).contains(number)).ok_or(RateFault)
}

fn seconds(text: &str) -> Result<Duration, RateFault> {
    let seconds = text.strip_suffix('s').and_then(|digits| digits.parse().ok());
    seconds
        .filter(|seconds| (1..=DAY_S).contains(seconds))
        .map(Duration::from_secs)
        .ok_or(RateFault)
}

/// What a sender has budgets for, each its own. Index: [`crate::Meter`].
pub type Rates = [Rate; METERS];

/// The budgets of a trusted network: what is over is dropped for it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkRates {
    /// New INVITEs.
    pub invites: Rate,
    /// All else, and INVITEs within dialogs; beyond it, running calls have [`Limits::call`] each.
    pub rest: Rate,
}

impl TrunkRates {
    pub(crate) fn limits(self) -> [abi::Limit; 2] {
        [self.invites.limit(), self.rest.limit()]
    }
}

/// All limits of the driver but those of trunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one stranger.
    pub stranger: Rates,
    /// Of one stranger, over all kinds of SIP together.
    pub any: Rate,
    /// Of all strangers of a /24 or /64.
    pub network: Rates,
    /// Of all strangers together.
    pub crowd: Rates,
    /// Of one running call of a trusted network whose own budget is spent.
    pub call: Rate,
    /// In which time a regular may send ...
    pub regular_window: Duration,
    /// ... so much of each kind; 0 with `regular_per_contact` 0 is no limit ...
    pub regular_least: u32,
    /// ... or so much for each of its contacts, if that is more.
    pub regular_per_contact: u32,
    /// Ports from which one stranger talks at a time, up to 14; 0 is no limit.
    pub flows: u32,
    /// The same for all strangers of a /24 or /64, up to 30.
    pub network_flows: u32,
    /// So long after its last datagram a flow is one; whole seconds, up to nine hours.
    pub flow_idle: Duration,
    /// Whether who sends to a closed port, or has too many flows, is told by ICMP; else he meets silence.
    pub refuses: bool,
    /// How often all of them together.
    pub refusals: Rate,
    /// Count what would be dropped, and drop nothing.
    pub monitor: bool,
}

impl Default for Limits {
    /// A phone or a few behind one address do not notice; a scanner does.
    fn default() -> Self {
        let stranger = [
            Rate::per_second(10, 20),
            Rate::per_second(5, 20),
            Rate::per_second(5, 20),
            Rate::per_second(50, 100),
            Rate::per_second(10, 20),
            Rate::per_second(20, 40),
        ];
        let wide = |rate: Rate| Rate { count: rate.count * 4, burst: rate.burst * 4, ..rate };
        Self {
            stranger,
            any: Rate::NONE,
            network: stranger.map(wide),
            crowd: [2_000, 2_000, 1_000, 5_000, 2_000, 1_000]
                .map(|count| Rate::per_second(count, count)),
            call: Rate::per_second(10, 20),
            regular_window: Duration::from_secs(60),
            regular_least: 100,
            regular_per_contact: 4,
            flows: 10,
            network_flows: 30,
            flow_idle: Duration::from_secs(60),
            refuses: false,
            refusals: Rate::per_second(100, 100),
            monitor: false,
        }
    }
}

/// Seconds wrap in sixteen bits: half of them can be told apart from none.
const FLOW_IDLE_MAX: Duration = Duration::from_secs(32_400);

impl Limits {
    pub(crate) fn write(&self, settings: &mut Settings) {
        settings.limits = self.stranger.map(Rate::limit);
        settings.any_limit = self.any.limit();
        settings.network_limits = self.network.map(Rate::limit);
        settings.crowd_limits = self.crowd.map(Rate::limit);
        settings.call_limit = self.call.limit();
        settings.regular_window_ns = self.regular_window.as_nanos() as u64;
        settings.regular_least = self.regular_least;
        settings.regular_per_contact = self.regular_per_contact;
        settings.flows = self.flows.min(FLOWS_OF_ADDRESS as u32);
        settings.network_flows = self.network_flows.min(FLOWS_OF_NETWORK as u32);
        settings.flow_idle_ns = self.flow_idle.min(FLOW_IDLE_MAX).as_nanos() as u64;
        settings.refuses = self.refuses.into();
        settings.refusal_limit = self.refusals.limit();
        settings.monitor = self.monitor.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_not_a_very_high_one() {
        assert_eq!(Rate::NONE.limit().interval_ns, 0);
        assert_ne!(Rate::per_second(u32::MAX, u32::MAX).limit().interval_ns, 0);
        assert_eq!(Rate::per_second(0, 0).limit().interval_ns, 0);
    }

    #[test]
    fn a_burst_is_so_many_intervals() {
        let ten = Rate { count: 10, per: Duration::from_secs(60), burst: 4, ..Rate::NONE };
        let limit = ten.limit();
        assert_eq!((limit.interval_ns, limit.tolerance_ns), (6_000_000_000, 24_000_000_000));
        assert_eq!(Rate::NEVER.limit().tolerance_ns, 0);
    }

    #[test]
    fn a_rate_that_the_driver_has_reads_back() {
        for rate in [Rate::per_second(7, 9), Rate::per_second(1, 1), Rate::NONE] {
            assert_eq!(Rate::read(&rate.limit()), rate);
        }
        let minute = Rate { count: 20, per: Duration::from_secs(60), burst: 19, ..Rate::NONE };
        assert_eq!(Rate::read(&minute.limit()).to_string(), "1/3s burst 19");
    }

    #[test]
    fn a_rate_has_one_spelling_and_some_that_are_taken() {
        for text in ["off", "never", "10/s burst 20", "20/60s burst 19 silence 60s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("  5/s ".parse::<Rate>().unwrap().to_string(), "5/s burst 5");
        assert_eq!(
            "5/s silence 9s burst 2".parse::<Rate>().unwrap().to_string(),
            "5/s burst 2 silence 9s"
        );
        for wrong in [
            "",
            "10",
            "0/s",
            "1/0s",
            "1/90000s",
            "1/s burst",
            "1/s burst 0",
            "off 1",
            "1/s x 1",
            "-1/s",
            "1/m",
        ] {
            assert_eq!(wrong.parse::<Rate>(), Err(RateFault), "{wrong}");
        }
    }
}
