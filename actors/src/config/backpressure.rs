//! `[backpressure]`: how much may wait, and what happens before it is too much. See `policy::pressure`.

use policy::pressure::{Preset, PressureRules};

use crate::config::section::{If, section};

section! {
    /// `[backpressure]`
    BackpressureConfig {
        /// What the other values are where they are not said.
        preset: String = Preset::default().to_string(), If(|preset: &String| preset.parse::<Preset>().is_ok(), "\"normal\", \"strict\" or \"permissive\"");
        /// Tasks and arrays that may wait or run; an array counts once.
        max_queue_depth: u64 as "2100000 (normal), 1000 (strict) or 10500000 (permissive)", 1..;
        /// From here on three quarters run at once, in percent of the limit.
        moderate_percent: u8 as "50 (normal), 30 (strict) or 70 (permissive)", 1..=100;
        /// From here on a quarter runs at once and nothing of low priority is taken in.
        high_percent: u8 as "80 (normal), 60 (strict) or 90 (permissive)", 1..=100;
        /// From here on one runs at a time and only what is critical is taken in.
        critical_percent: u8 as "95 (normal), 85 (strict) or 98 (permissive)", 1..=100;
        /// How far below its threshold a mode ends, in percent of the limit.
        hysteresis_percent: u8 = PressureRules::default().hysteresis_percent, 0..=99;
    }
}

impl BackpressureConfig {
    /// What follows from what is said.
    #[must_use]
    pub fn rules(&self) -> PressureRules {
        let preset = self.preset().parse::<Preset>().unwrap_or_default().rules();
        PressureRules {
            max_queue_depth: self.max_queue_depth.unwrap_or(preset.max_queue_depth),
            moderate_percent: self.moderate_percent.unwrap_or(preset.moderate_percent),
            high_percent: self.high_percent.unwrap_or(preset.high_percent),
            critical_percent: self.critical_percent.unwrap_or(preset.critical_percent),
            hysteresis_percent: self.hysteresis_percent(),
        }
    }
}
