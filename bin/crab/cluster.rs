//! `crab cluster`: who belongs to the fleet.

use actors::client::{Client, ClientError};
use actors::clock::Clock;
use actors::trust::authority::Authority;
use actors::wire::client::{Enrolled, Enrolment, InvitedRow, MemberRow};
use policy::time::Timestamp;
use policy::trust::FleetRole;

use crate::cli::args::cluster::{Cluster, Invite};
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Session;
use crate::cli::{json, text};

pub(crate) async fn run(session: &Session, screen: &mut Screen, args: Cluster) -> anyhow::Result<Exit> {
    match args {
        Cluster::Init => init(session, screen),
        Cluster::Invite(args) => invite(&session.connect()?, screen, args).await,
        Cluster::Revoke { name } => revoke(&session.connect()?, screen, name).await,
        Cluster::List => list(&session.connect()?, screen).await,
    }
}

fn init(session: &Session, screen: &mut Screen) -> anyhow::Result<Exit> {
    let data = session.own_data_dir()?;
    let authority = Authority::create(&data, Clock::system().wall())?;
    let fingerprint = authority.fingerprint().to_hex().to_string();
    if screen.json {
        screen.object(&json::Authority::of(fingerprint))?;
    } else {
        screen.line(format_args!("the fleet's authority is {fingerprint}"))?;
        screen.note(
            "next: `crabd --listen ADDRESS:PORT` (again, where it runs), then `crab cluster invite NAME`",
        );
    }
    Ok(Exit::SUCCESS)
}

async fn invite(client: &Client, screen: &mut Screen, args: Invite) -> anyhow::Result<Exit> {
    let Invite { name, role, tenant, expires, at } = args;
    let wanted = Enrolment::Invite {
        name: name.into(),
        role,
        tenant: tenant.map(Into::into),
        expires,
        address: at.map(Into::into),
    };
    let Enrolled::Invitation(line) = client.enrol(wanted).await? else { return Err(strange().into()) };
    if screen.json {
        screen.object(&json::Invitation::of(line.into()))?;
    } else {
        screen.line(line)?;
        let how = if role == FleetRole::Worker { "crabd --join -" } else { "crab --address - status" };
        screen.note(format_args!(
            "once, there: {how}   (it reads the line; on a command line others would see it)"
        ));
    }
    Ok(Exit::SUCCESS)
}

async fn revoke(client: &Client, screen: &mut Screen, name: String) -> anyhow::Result<Exit> {
    let wanted = Enrolment::Revoke { name: name.as_str().into() };
    let Enrolled::Revoked { certificates, invitations } = client.enrol(wanted).await? else {
        return Err(strange().into());
    };
    if screen.json {
        screen.object(&json::Revoked::of(name, certificates, invitations))?;
    } else if certificates + invitations == 0 {
        screen.note(format_args!("crab: {name} has no certificate that is good, and no invitation"));
    }
    Ok(if certificates + invitations == 0 { Exit::NOT_FOUND } else { Exit::SUCCESS })
}

async fn list(client: &Client, screen: &mut Screen) -> anyhow::Result<Exit> {
    let Enrolled::Members { members, invited } = client.enrol(Enrolment::List).await? else {
        return Err(strange().into());
    };
    let now = Clock::system().wall();
    if screen.json {
        for member in members.iter().map(|row| json::Member::of(row, state(row, now))) {
            screen.object(&member)?;
        }
        for invited in &invited {
            screen.object(&json::Member::invited(invited))?;
        }
    } else if members.is_empty() && invited.is_empty() {
        screen.note("nobody has a certificate yet: `crab cluster invite NAME`");
    } else {
        screen.line(table(&members, &invited, now))?;
    }
    Ok(Exit::SUCCESS)
}

fn strange() -> ClientError {
    ClientError::Protocol("an answer to another question".to_owned())
}

fn state(row: &MemberRow, now: Timestamp) -> &'static str {
    match row.revoked {
        Some(_) => "revoked",
        None if row.until <= now => "expired",
        None => "good",
    }
}

fn table(members: &[MemberRow], invited: &[InvitedRow], now: Timestamp) -> String {
    let until = |until: Timestamp| text::rfc3339(until);
    let members = members.iter().map(|row| {
        let member = &row.member;
        let fields = [&*member.name, &member.role.to_string(), &*member.tenant, state(row, now)];
        let mut fields = fields.map(str::to_owned).to_vec();
        fields.extend([until(row.until), row.certificate.to_string()]);
        fields
    });
    let invited = invited.iter().map(|row| {
        let member = &row.member;
        let state = if row.until <= now { "invitation expired" } else { "invited" };
        let fields = [&*member.name, &member.role.to_string(), &*member.tenant, state];
        let mut fields = fields.map(str::to_owned).to_vec();
        fields.extend([until(row.until), String::new()]);
        fields
    });
    text::table(&["name", "role", "tenant", "state", "until", "certificate"], members.chain(invited))
}
