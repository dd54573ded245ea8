//! The configuration explained by itself: a file with every key, and a schema, both made from the lists that the
//! sections are made from.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::config::claims::{self, LockConfig};
use crate::config::section::{Section, Setting};
use crate::config::ssh_nodes::SshNodeConfig;
use crate::config::tenants::TenantConfig;

/// Stands for names that are the site's own.
const NAME: &str = "NAME";

/// Every key there is.
fn settings() -> Vec<Setting> {
    let mut settings = Config::default().settings();
    TenantConfig::default().settings(&format!("tenants.{NAME}"), &mut settings);
    LockConfig::default().settings(&format!("locks.{NAME}"), &mut settings);
    SshNodeConfig::default().settings(&format!("ssh_nodes.{NAME}"), &mut settings);
    settings.extend(claims::shapes(NAME));
    settings
}

/// A file that says what holds where nothing is said: every key with its meaning, what it may be, and its usual value,
/// which stands behind a `#`.
#[must_use]
pub fn file() -> String {
    let mut text =
        "# The configuration of crabd. What stands behind a # is what holds where nothing is said.\n"
            .to_owned();
    let mut section = "";
    let settings = settings();
    for setting in &settings {
        let (path, key) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        if path != section {
            section = path;
            // Writing to a text does not fail.
            let open = if section.split('.').any(|part| part == NAME) { "# " } else { "" };
            let _ = write!(text, "\n{open}[{section}]\n");
        }
        let about = setting.about.trim_end_matches('.');
        let _ = writeln!(text, "# {about}: {}.", setting.allowed);
        let _ = match setting.has_usual {
            true => writeln!(text, "# {key} = {}", setting.usual),
            false => writeln!(text, "# {key} is {} where nothing is said", setting.usual),
        };
    }
    text
}

/// The JSON schema of such files.
#[must_use]
pub fn schema() -> Value {
    let mut top = empty();
    for setting in settings() {
        let mut section = &mut top;
        let (path, key) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        for part in path.split('.') {
            section = part_of(section, part);
            if !section.is_object() {
                *section = empty();
            }
        }
        *part_of(section, key) = property(&setting);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of crabd",
        "type": "object",
        "additionalProperties": false,
        "properties": top["properties"],
    })
}

/// What stands under this key; entries that may have any name stand for all of them.
fn part_of<'a>(section: &'a mut Value, key: &str) -> &'a mut Value {
    if key == NAME { &mut section["additionalProperties"] } else { &mut section["properties"][key] }
}

fn empty() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": {} })
}

fn property(setting: &Setting) -> Value {
    let about = setting.about.trim_end_matches('.');
    let mut property = json!({ "description": format!("{about}: {}.", setting.allowed) });
    property["type"] = match setting.types {
        [one] => json!(one),
        several => json!(several),
    };
    // As it would be read.
    let usual = toml::from_str::<Map<String, Value>>(&format!("value = {}", setting.usual));
    if let Some(usual) = usual.ok().and_then(|mut table| table.remove("value")).filter(|_| setting.has_usual)
    {
        property["default"] = usual;
    }
    property
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file with every usual value said, but for those of entries that nobody has made.
    fn said() -> String {
        let line = |line: &str| {
            let is_value = |rest: &&str| {
                let key = rest.split_once(" = ").map_or("", |(key, _)| key);
                !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            line.strip_prefix("# ").filter(is_value).map_or_else(|| line.to_owned(), ToOwned::to_owned)
        };
        let file = file();
        let (sections, _) = file.split_once("\n# [").expect("entries stand at the end");
        sections.lines().map(|one| line(one) + "\n").collect()
    }

    #[test]
    fn the_file_is_sound_as_it_is_and_with_every_value_said_and_means_the_same() {
        let usual = Config::default();
        let silent: Config = toml::from_str(&file()).expect("it is read");
        let all: Config = toml::from_str(&said()).expect("it is read with every value");
        all.check().expect("it is sound");
        assert_eq!((silent.limits_where(true), silent.terms()), (usual.limits_where(true), usual.terms()));
        assert_eq!((all.limits_where(true), all.terms()), (usual.limits_where(true), usual.terms()));
        let keys = usual.settings().iter().filter(|setting| setting.has_usual).count();
        assert_eq!(all.settings().iter().filter(|setting| setting.said.is_some()).count(), keys);
    }

    #[test]
    fn the_schema_has_every_key_with_what_it_is() {
        let schema = schema();
        for setting in settings() {
            let (path, key) = setting.key.rsplit_once('.').expect("it is in a section");
            let part_of = |section: &Value, part: &str| match part {
                NAME => section["additionalProperties"].clone(),
                part => section["properties"][part].clone(),
            };
            let section = path.split('.').fold(schema.clone(), |section, part| part_of(&section, part));
            let property = part_of(&section, key);
            assert!(property["description"].is_string() && !property["type"].is_null(), "{}", setting.key);
        }
        let lease = &schema["properties"]["lease"]["properties"]["ttl"];
        assert_eq!((&lease["default"], &lease["type"][0]), (&json!("15s"), &json!("string")));
        assert_eq!(schema["properties"]["breaker"]["properties"]["failures"]["type"], "integer");
    }
}
