//! What the kernel and the thermal daemon tell of memory, load and heat. Type-checked, not run by our CI.
//!
//! Stalls are not told on this system; its own level of memory pressure says more than free pages would, which it keeps few
//! on purpose.

use std::ffi::{CStr, c_char, c_int};

use policy::strain::{Level, Reading, Sign};

// Of libSystem, which every program is linked with; the libc crate does not have them.
unsafe extern "C" {
    fn notify_register_check(name: *const c_char, token: *mut c_int) -> u32;
    fn notify_get_state(token: c_int, state: *mut u64) -> u32;
    fn notify_cancel(token: c_int) -> u32;
}

/// Under which the level of heat is told: what `NSProcessInfo.thermalState` goes by.
const HEAT: &CStr = c"com.apple.system.thermalpressurelevel";
/// From this level of heat on the system takes speed away: nominal, moderate, heavy, trapping, sleeping.
const HEAVY: u64 = 2;

/// What can be told of this machine now, but for its disk.
#[must_use]
pub fn signs() -> Vec<Reading> {
    let of = |sign, value: Option<u64>| value.map(|value| Reading { sign, value });
    let memory = super::number(c"kern.memorystatus_vm_pressure_level").map(|level| match level {
        4.. => Level::Critical as u64,
        2.. => Level::Warn as u64,
        _ => Level::Normal as u64,
    });
    let heat = heat().map(|level| u64::from(level >= HEAVY));
    let all = [of(Sign::Memory, memory), of(Sign::Heat, heat), of(Sign::Load, load(super::cores()))];
    all.into_iter().flatten().collect()
}

/// Of the last minute, in percent of the cores.
fn load(cores: u64) -> Option<u64> {
    let mut loads = [0.0_f64; 3];
    // SAFETY: it fills as many numbers as there is room for.
    let told = unsafe { libc::getloadavg(loads.as_mut_ptr(), 3) };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a load is small and not negative"
    )]
    (told > 0).then(|| (loads[0] * 100.0) as u64).and_then(|load| load.checked_div(cores))
}

fn heat() -> Option<u64> {
    let (mut token, mut state) = (0, 0);
    // SAFETY: the name ends with 0, and the token is written to a place of ours.
    if unsafe { notify_register_check(HEAT.as_ptr(), &raw mut token) } != 0 {
        return None;
    }
    // SAFETY: the token was given just now, and the state is written to a place of ours.
    let failed = unsafe { notify_get_state(token, &raw mut state) };
    // SAFETY: the token was given just now, and is not used any more.
    unsafe { notify_cancel(token) };
    (failed == 0).then_some(state)
}
