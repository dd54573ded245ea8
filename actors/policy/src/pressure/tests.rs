//! Thresholds, hysteresis, and that who is refused is taken in once enough has ended.

use proptest::prelude::*;

use super::*;

fn strict() -> Pressure {
    Pressure::new(Preset::Strict.rules())
}

fn modes(pressure: &mut Pressure, depths: impl IntoIterator<Item = u64>) -> Vec<Mode> {
    let observe = |depth| {
        pressure.observe(depth);
        pressure.check();
        pressure.mode()
    };
    depths.into_iter().map(observe).collect()
}

#[test]
fn each_mode_holds_from_its_threshold_on() {
    use Mode::{Critical, High, Moderate, Normal};
    let depths = [0, 299, 300, 599, 600, 849, 850, 1000, u64::MAX];
    let expected = [Normal, Normal, Moderate, Moderate, High, High, Critical, Critical, Critical];
    assert_eq!(modes(&mut strict(), depths), expected);
    let usual = Preset::Normal.rules().max_queue_depth;
    let of = |percent: u64| usual * percent / 100;
    let mut pressure = Pressure::new(Preset::Normal.rules());
    assert_eq!(
        modes(&mut pressure, [of(50) - 1, of(50), of(80), of(95)]),
        [Normal, Moderate, High, Critical]
    );
    let permissive = Preset::Permissive.rules();
    assert_eq!(
        (permissive.moderate_percent, permissive.high_percent, permissive.critical_percent),
        (70, 90, 98)
    );
}

#[test]
fn a_mode_ends_only_well_below_its_threshold() {
    use Mode::{High, Moderate, Normal};
    let depths = [600, 599, 550, 549, 300, 250, 249, 299, 300];
    let expected = [High, High, High, Moderate, Moderate, Moderate, Normal, Normal, Moderate];
    assert_eq!(modes(&mut strict(), depths), expected);
}

#[test]
fn a_change_is_told_once_with_what_it_came_from() {
    let mut pressure = strict();
    let change = ModeChange { from: Mode::Normal, to: Mode::High, depth: 700, limit: 1000 };
    assert_eq!(pressure.observe(700), Some(change));
    assert_eq!(pressure.observe(701), None);
}

#[test]
fn the_sizes_of_the_foundation_are_no_strain() {
    let mut pressure = Pressure::new(PressureRules::default());
    for items in [1, 100_000, 1_000_000] {
        assert_eq!(pressure.admit(items, Priority::Low), Ok(()));
        pressure.observe(items + 1000);
        assert_eq!(pressure.mode(), Mode::Normal, "{items}");
        assert_eq!(pressure.admit(1, Priority::Low), Ok(()));
        pressure.observe(0);
    }
}

#[test]
fn under_high_pressure_low_work_is_refused_and_in_the_worst_all_but_critical_work() {
    let mut pressure = strict();
    pressure.observe(600);
    let refused = pressure.admit(1, Priority::Low).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the queue is under high pressure (600 of 1000): nothing of low priority is taken in"
    );
    assert_eq!(pressure.excess(&refused), 51, "High ends below 550");
    assert_eq!(pressure.admit(1, Priority::Normal), Ok(()));
    pressure.observe(900);
    assert!(pressure.admit(1, Priority::High).is_err());
    assert_eq!(pressure.admit(100, Priority::Critical), Ok(()));
    let full = pressure.admit(101, Priority::Critical).unwrap_err();
    assert_eq!(full, Shed::Full { depth: 900, new: 101, limit: 1000 });
    assert_eq!(pressure.excess(&full), 1);
}

#[test]
fn what_is_larger_than_the_limit_is_taken_in_where_nothing_waits() {
    assert_eq!(strict().admit(u64::MAX, Priority::Normal), Ok(()));
}

#[test]
fn parallelism_and_time_limits_follow_the_mode_and_nothing_is_ever_stopped() {
    let parallel = |most| Mode::VARIANTS.iter().map(|mode| mode.parallelism(most)).collect::<Vec<_>>();
    assert_eq!(parallel(100), [100, 75, 25, 1]);
    assert_eq!(parallel(1), [1; 4]);
    assert_eq!(parallel(0), [1; 4], "a parallelism of 0 would stop everything");
    let second = Duration::from_secs(1);
    let stretched: Vec<_> = Mode::VARIANTS.iter().map(|mode| mode.stretched(second).as_millis()).collect();
    assert_eq!(stretched, [1000, 1500, 2500, 5000]);
    assert_eq!(Mode::Critical.stretched(Duration::MAX), Duration::MAX);
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let refused = |rules: PressureRules| rules.check().unwrap_err().to_string();
    let usual = PressureRules::default();
    assert_eq!(
        refused(PressureRules { max_queue_depth: 0, ..usual }),
        "max_queue_depth = 0 must be at least 1"
    );
    assert_eq!(
        refused(PressureRules { high_percent: 95, ..usual }),
        "thresholds of 50, 95 and 95 percent must be between 1 and 100 and each larger than the one before"
    );
    assert!(
        refused(PressureRules { hysteresis_percent: 50, ..usual }).starts_with("hysteresis = 50 percent")
    );
    for preset in Preset::VARIANTS {
        assert_eq!(preset.rules().check(), Ok(()), "{preset}");
    }
}

proptest! {
    #[test]
    fn whatever_the_depth_the_mode_fits_it_and_a_wait_leads_to_admission(
        depths in prop::collection::vec(0_u64..2000, 1..100),
        limit in 2_u64..1500,
        priority in 0_usize..4,
    ) {
        let mut pressure = Pressure::new(PressureRules { max_queue_depth: limit, ..PressureRules::default() });
        let priority = Priority::VARIANTS[priority];
        for depth in depths {
            pressure.observe(depth);
            pressure.check();
            if let Err(shed) = pressure.admit(1, priority) {
                let mut later = pressure.clone();
                later.observe(depth - pressure.excess(&shed));
                prop_assert_eq!(later.admit(1, priority), Ok(()), "after {:?} at {}", shed, depth);
            }
        }
    }
}
