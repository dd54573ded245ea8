//! The clusters of a user, by name: where each is found. A file of the user's own, read by whoever looks for a
//! scheduler and by nobody else.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Deserialize;

use crate::client::{Client, Endpoint};
use crate::taskfile::suggest::closest;

/// The file below the user's directory for configurations.
const FILE_NAME: &str = "knittingcrab/client.toml";

/// Clusters of one user: more than anybody names.
pub const CONTEXTS_LIMIT: usize = 1000;

/// Where a cluster is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// `HOST:PORT`; the daemon of the data directory on this machine where there is none.
    pub address: Option<String>,
    /// The data directory: the daemon's own, or one with the cookie of a daemon elsewhere.
    pub data_dir: Option<PathBuf>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contexts {
    /// By name.
    pub contexts: BTreeMap<String, Context>,
}

/// Why a context cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// There is no such context.
    #[error("there is no context {name}{near}: [contexts.{name}] in {} makes one", path.display())]
    Unknown {
        /// What was asked for.
        name: Box<str>,
        /// What may have been meant, as a part of the sentence.
        near: Box<str>,
        /// The file.
        path: PathBuf,
    },
}

/// Where the file is; `None` for a user without a home directory.
#[must_use]
pub fn path() -> Option<PathBuf> {
    etcetera::choose_base_strategy().ok().map(|base| base.config_dir().join(FILE_NAME))
}

impl Contexts {
    /// Reads the user's file; none where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or says what cannot be.
    pub fn read() -> Result<Self, ContextError> {
        path().map_or_else(|| Ok(Self::default()), |path| Self::of(&path))
    }

    fn of(path: &Path) -> Result<Self, ContextError> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ContextError::Unreadable { path: path.to_owned(), source }),
            Ok(text) => text,
        };
        let wrong = |reason: String| ContextError::Wrong { path: path.to_owned(), reason };
        let read: Self =
            toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        let nowhere = |context: &Context| context.address.is_none() && context.data_dir.is_none();
        if let Some((name, _)) = read.contexts.iter().find(|(_, context)| nowhere(context)) {
            return Err(wrong(format!("contexts.{name} must have an address or a data_dir")));
        }
        if read.contexts.len() > CONTEXTS_LIMIT {
            return Err(wrong(format!("there are more than {CONTEXTS_LIMIT} contexts")));
        }
        Ok(read)
    }

    /// The one of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<&Context, ContextError> {
        self.contexts.get(name).ok_or_else(|| {
            let near = closest(name, self.contexts.keys().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
            let path = path().unwrap_or_else(|| FILE_NAME.into());
            ContextError::Unknown { name: name.into(), near: near.into(), path }
        })
    }
}

impl Context {
    /// Its front door.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match (&self.address, &self.data_dir) {
            (Some(address), _) => Some(Endpoint::Address(address.clone())),
            (None, directory) => directory.as_deref().map(Endpoint::of_data_dir),
        }
    }

    /// A client of it. Nothing is sent yet.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        let endpoint = self.endpoint()?;
        Some(match &self.data_dir {
            Some(directory) => Client::connect_with(endpoint, directory.clone()),
            None => Client::connect(endpoint),
        })
    }

    /// For people.
    #[must_use]
    pub fn told(&self) -> String {
        let address = self.address.clone();
        let directory = self.data_dir.as_ref().map(|directory| directory.display().to_string());
        [address, directory].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Contexts, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("it can be written");
        Contexts::of(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn contexts_are_found_by_name_and_what_is_wrong_is_told() {
        let text = "[contexts.prod]\naddress = \"192.0.2.1:7070\"\ndata_dir = \"/x\"\n[contexts.here]\ndata_dir = \"/y\"\n";
        let contexts = read(text).expect("sound");
        let prod = contexts.get("prod").expect("it is there");
        assert_eq!(prod.endpoint(), Some(Endpoint::Address("192.0.2.1:7070".to_owned())));
        assert_eq!(prod.told(), "192.0.2.1:7070, /x");
        assert_eq!(
            contexts.get("here").expect("it is").endpoint(),
            Some(Endpoint::of_data_dir("/y".as_ref()))
        );
        let error = contexts.get("prd").expect_err("no such").to_string();
        assert!(error.starts_with("there is no context prd (did you mean prod?)"), "{error}");
        assert!(read("[contexts.a]\n").is_err_and(|error| error.contains("contexts.a must have an address")));
        assert!(read("[contexts.a]\nadress = \"x\"\n").is_err_and(|error| error.contains("line 2")));
        assert_eq!(Contexts::of("/nowhere/at/all.toml".as_ref()).expect("none"), Contexts::default());
    }
}
