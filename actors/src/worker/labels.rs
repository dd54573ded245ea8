//! What is said of every machine without anybody saying it.

use std::path::Path;

use policy::constraint::{ARCH, CHIP, KERNEL, LIMITS, MEASURED, OS};

use crate::process::os;

/// Where Xcode says which version it is.
const XCODE: &str = "/Applications/Xcode.app/Contents/version.plist";

/// The operating system and architecture, the processor, who sees to limits, and the version of Xcode where they are known.
#[must_use]
pub fn detect() -> Vec<(Box<str>, Box<str>)> {
    let known = [
        (OS, Some(std::env::consts::OS.to_owned())),
        (ARCH, Some(std::env::consts::ARCH.to_owned())),
        (CHIP, os::chip()),
        (LIMITS, Some(if os::cgroup::place().is_some() { KERNEL } else { MEASURED }.to_owned())),
        ("xcode", xcode(Path::new(XCODE))),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into()))).collect()
}

/// The version that a `version.plist` names.
fn xcode(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let (_, after) = text.split_once("<key>CFBundleShortVersionString</key>")?;
    let (_, after) = after.split_once("<string>")?;
    let (version, _) = after.split_once("</string>")?;
    Some(version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_says_what_it_is() {
        let labels = detect();
        let value = |name: &str| labels.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value);
        assert_eq!((value("os"), value("arch")), (Some(std::env::consts::OS), Some(std::env::consts::ARCH)));
        assert!(labels.iter().all(|(_, value)| !value.is_empty()), "{labels:?}");
    }

    #[test]
    fn the_version_of_xcode_is_read_from_its_property_list() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let list = "<dict>\n\t<key>BuildVersion</key>\n\t<string>3</string>\n\
                    \t<key>CFBundleShortVersionString</key>\n\t<string>16.2</string>\n</dict>";
        std::fs::write(file.path(), list).unwrap();
        assert_eq!(xcode(file.path()).as_deref(), Some("16.2"));
        std::fs::write(file.path(), "<dict/>").unwrap();
        assert_eq!(xcode(file.path()), None);
        assert_eq!(xcode(Path::new("/nonexistent")), None);
    }
}
