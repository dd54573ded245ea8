//! The scheduler's side of an application: who asks for a certificate is heard and answered.

use std::io;
use std::sync::Arc;

use policy::trust::Member;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::TrustError;
use super::application::{Application, Decision, read, write};
use super::fleet::{Admitted, Fleet};

/// The scheduler: hears whoever asks for a certificate and decides. `member` is who their present one names.
pub(crate) async fn hear_applicant(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    fleet: &Arc<Fleet>,
    member: Option<Arc<Member>>,
) -> io::Result<Result<Arc<Member>, String>> {
    let application: Application = read(stream).await?;
    let deciding = Arc::clone(fleet);
    // Signing, and writing the roll.
    let decided = tokio::task::spawn_blocking(move || decide(&deciding, &application, member.as_ref())).await;
    let decided = decided.map_err(io::Error::other)?;
    let (decision, told) = match decided {
        Ok(Admitted { certificate, authority, member, until }) => {
            let told = Arc::clone(&member);
            (Decision::Admitted { certificate, authority, member: (*member).clone(), until }, Ok(told))
        }
        Err(error) => (Decision::Refused(error.to_string()), Err(error.to_string())),
    };
    write(stream, &decision).await?;
    let _ = stream.shutdown().await;
    Ok(told)
}

fn decide(
    fleet: &Fleet,
    application: &Application,
    member: Option<&Arc<Member>>,
) -> Result<Admitted, TrustError> {
    let Application { secret, request } = application;
    match (secret, member) {
        (Some(secret), _) => {
            let secret = blake3::Hash::from_hex(secret)
                .map_err(|_| TrustError::Refused("the secret of the invitation is malformed".to_owned()))?;
            fleet.admit(secret.as_bytes(), request)
        }
        (None, Some(member)) => fleet.renew(member, request),
        (None, None) => {
            let what = "no invitation and no certificate: ask for an invitation (`crab cluster invite NAME`)";
            Err(TrustError::Refused(what.to_owned()))
        }
    }
}
