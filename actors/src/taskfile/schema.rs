//! The published schema of task files, made from the same tables that read them.

use schemars::Schema;
use schemars::generate::SchemaSettings;

use super::shape::File;

/// The schema as a JSON text that ends with a newline.
#[must_use]
pub fn schema() -> String {
    let schema: Schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<File>();
    let mut text = serde_json::to_string_pretty(schema.as_value()).unwrap_or_default();
    text.push('\n');
    text
}
