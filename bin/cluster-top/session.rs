//! A line after the other, whoever types them: understood, answered, done.

use std::collections::BTreeMap;
use std::path::PathBuf;

use actors::client::contexts::{ContextError, Contexts};
use actors::client::{Client, Endpoint, default_data_dir};
use actors::console::act::{NO_REASON, Planned};
use actors::console::fault::{Fault, Sort};
use actors::console::past::{Past, open_journal};
use actors::console::pipe::Stage;
use actors::console::reply::Reply;
use actors::console::syntax::{self, Line, Word};
use actors::console::{Console, verb};

use super::args::Cli;
use super::follow;
use super::screen::Screen;

/// The exit code of a script in which something looked wrong.
const ALARM: u8 = 3;

/// What a prompt, a script and a full screen have in common.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) console: Console,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) data_dir: Option<PathBuf>,
    by: String,
    reason: String,
    yes: bool,
    read_only: bool,
    begin_at: Option<String>,
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered; whether something looks wrong.
    Done { alarm: bool },
    /// Somebody has to agree to this first.
    Asks(Box<Planned>),
    /// Somebody wants the full screen.
    Full,
    /// The session is over.
    Quit,
}

impl Session {
    /// Finds the daemon or the log. Nothing is sent yet.
    pub(crate) fn open(cli: &Cli) -> Result<Self, Fault> {
        let console = match &cli.journal {
            Some(directory) => Console::offline(Past::of(open_journal(directory)?)),
            None => Console::new(client(cli)?),
        };
        let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
        let data_dir = cli.data_dir.clone().or_else(default_data_dir).filter(|directory| directory.is_dir());
        Ok(Self {
            console,
            aliases: BTreeMap::new(),
            data_dir,
            by: format!("{user} (cluster-top)"),
            reason: cli.reason.clone(),
            yes: cli.yes,
            read_only: cli.read_only,
            begin_at: cli.at.clone(),
        })
    }

    /// Goes to where the command line says.
    pub(crate) async fn begin(&mut self) -> Result<(), (Fault, String)> {
        let Some(moment) = self.begin_at.take() else { return Ok(()) };
        let word = Word { span: 0..moment.len(), text: moment.clone() };
        self.console.go(&word).await.map_err(|fault| (fault, moment))
    }

    /// The line behind an alias, or the line itself.
    pub(crate) fn expanded(&self, text: &str) -> String {
        let trimmed = text.trim_start();
        let name = trimmed.split([' ', '|']).next().unwrap_or_default();
        match self.aliases.get(name) {
            Some(line) => format!("{line}{}", &trimmed[name.len()..]),
            None => text.to_owned(),
        }
    }

    /// Understands a line and answers it.
    pub(crate) async fn run(&mut self, screen: &mut Screen, text: &str) -> Result<Outcome, Fault> {
        let text = self.expanded(text);
        let Some(line) = syntax::parse(&text)? else { return Ok(Outcome::Done { alarm: false }) };
        match line.verb.sort {
            verb::Sort::Look => self.look(screen, &line).await,
            verb::Sort::Act => self.act(screen, &line).await,
            verb::Sort::Session => self.turn(screen, &line).await,
        }
    }

    async fn look(&mut self, screen: &mut Screen, line: &Line) -> Result<Outcome, Fault> {
        if follow::is_for(line) {
            follow::run(self, screen, line).await?;
            return Ok(Outcome::Done { alarm: false });
        }
        let replies = self.console.answer(line).await?;
        screen.replies(&replies, line.stages.contains(&Stage::Json));
        Ok(Outcome::Done { alarm: replies.iter().any(|reply| reply.alarm) })
    }

    async fn act(&mut self, screen: &mut Screen, line: &Line) -> Result<Outcome, Fault> {
        if self.read_only {
            return Err(Fault::of(Sort::Refused, "this session is for looking alone").at(line.span.clone()));
        }
        let planned = self.console.plan(line).await?;
        if !self.reason.is_empty() && !planned.deed.takes_reason() {
            let fault = Fault::of(Sort::Refused, format!("{NO_REASON}, and --reason was given"));
            return Err(fault.at(line.span.clone()).help("say it in a session without --reason"));
        }
        if planned.confirm.is_some() && !self.yes {
            return Ok(Outcome::Asks(Box::new(planned)));
        }
        self.perform(screen, &planned).await
    }

    /// Has it done, as somebody has agreed.
    pub(crate) async fn perform(&mut self, screen: &mut Screen, planned: &Planned) -> Result<Outcome, Fault> {
        let told = self.console.perform(planned, (&self.by, &self.reason)).await?;
        if screen.json {
            let object = serde_json::json!({"v": 1, "what": "action", "action": planned.deed.to_string(), "told": told});
            screen.text(&format!("{object}\n"));
        } else {
            screen.text(&format!("{told}\n"));
        }
        Ok(Outcome::Done { alarm: false })
    }

    async fn turn(&mut self, screen: &mut Screen, line: &Line) -> Result<Outcome, Fault> {
        let mut words = line.plain();
        match (line.verb.name, words.next(), words.next()) {
            ("at", Some(moment), None) => self.console.go(moment).await?,
            ("step", by, None) => self.console.step(steps(by)?).await?,
            ("live", ..) => self.console.go_live(),
            ("diff", Some(one), Some(other)) => {
                let reply = self.console.diff((one, other)).await?;
                let reply = actors::console::pipe::apply(reply, &line.stages)?;
                screen.replies(&[reply], line.stages.contains(&Stage::Json));
            }
            ("alias", ..) => self.alias(screen, line)?,
            ("context", None, None) => contexts(screen)?,
            ("context", Some(name), None) => self.console = Console::new(of_context(name)?),
            ("play", ..) => follow::run(self, screen, line).await?,
            ("tui", ..) => return Ok(Outcome::Full),
            ("quit", ..) => return Ok(Outcome::Quit),
            _ => {
                let text = format!("{} wants: {} {}", line.verb.name, line.verb.name, line.verb.usage);
                return Err(Fault::usage(line.span.clone(), text));
            }
        }
        Ok(Outcome::Done { alarm: false })
    }

    fn alias(&mut self, screen: &mut Screen, line: &Line) -> Result<(), Fault> {
        let Some((_, rest)) = line.text.split_once(line.verb.name) else { return Ok(()) };
        if rest.trim().is_empty() {
            for (name, text) in &self.aliases {
                screen.text(&format!("{name} = {text}\n"));
            }
            return Ok(());
        }
        let wrong = || Fault::usage(line.span.clone(), "alias wants: alias NAME = LINE");
        let (name, text) = rest.split_once('=').ok_or_else(wrong)?;
        let (name, text) = (name.trim(), text.trim());
        if name.is_empty() || name.contains(char::is_whitespace) || verb::find(name).is_some() {
            return Err(wrong().help("a name is one word, and no verb"));
        }
        syntax::parse(text)?.ok_or_else(wrong)?;
        self.aliases.insert(name.to_owned(), text.to_owned());
        Ok(())
    }
}

fn steps(word: Option<&Word>) -> Result<i64, Fault> {
    let Some(word) = word else { return Ok(1) };
    let wrong = |_| Fault::usage(word.span.clone(), "a step is a number of events: +1, -10");
    word.text.trim_start_matches('+').parse().map_err(wrong)
}

/// Which clusters there are.
fn contexts(screen: &mut Screen) -> Result<(), Fault> {
    let known = Contexts::read().map_err(|error| Fault::of(Sort::Refused, error.to_string()))?;
    let mut reply = Reply::lines("context");
    known.contexts.iter().for_each(|(name, context)| reply.line(name, context.told()));
    if known.contexts.is_empty() {
        let path =
            actors::client::contexts::path().map_or_else(String::new, |path| path.display().to_string());
        reply.notes.push(format!("there is none; [contexts.NAME] in {path} makes one"));
    }
    screen.replies(&[reply], false);
    Ok(())
}

fn of_context(name: &Word) -> Result<Client, Fault> {
    let known = Contexts::read().map_err(|error| Fault::of(Sort::Refused, error.to_string()))?;
    let missing = |error: ContextError| {
        let fault = Fault::of(Sort::NotFound, error.to_string()).at(name.span.clone());
        fault.possible(known.contexts.keys())
    };
    let client = known.get(&name.text).map_err(missing)?.client();
    client.ok_or_else(|| Fault::of(Sort::Refused, format!("{} leads nowhere", name.text)))
}

fn client(cli: &Cli) -> Result<Client, Fault> {
    if let Some(name) = &cli.context {
        return of_context(&Word { span: 0..0, text: name.clone() });
    }
    let advice = "no home directory: name a data directory with --data-dir DIR";
    let endpoint = match (&cli.address, &cli.data_dir) {
        (Some(address), _) => Endpoint::Address(address.clone()),
        (None, Some(directory)) => Endpoint::of_data_dir(directory),
        (None, None) => {
            let directory = default_data_dir().ok_or_else(|| Fault::of(Sort::Usage, advice))?;
            Endpoint::of_data_dir(&directory)
        }
    };
    Ok(match &cli.data_dir {
        Some(directory) => Client::connect_with(endpoint, directory.clone()),
        None => Client::connect(endpoint),
    })
}

/// Runs lines to the first that fails; the exit code of the program.
pub(crate) async fn run_all(session: &mut Session, screen: &mut Screen, lines: &[String]) -> u8 {
    if let Err((fault, moment)) = session.begin().await {
        screen.fault(&fault, &moment);
        return fault.sort.exit_code();
    }
    let mut alarmed = false;
    for text in lines.iter().flat_map(|line| syntax::statements(line)) {
        if text.trim_start().starts_with('#') {
            continue;
        }
        match session.run(screen, text).await {
            Ok(Outcome::Done { alarm }) => alarmed |= alarm,
            Ok(Outcome::Quit) => break,
            Ok(Outcome::Full) => {
                screen.trouble("the full screen needs a terminal");
                return 2;
            }
            Ok(Outcome::Asks(planned)) => {
                screen.trouble(&format!("this {}; with --yes it is done", planned.says));
                return 2;
            }
            Err(fault) => {
                screen.fault(&fault, text);
                return fault.sort.exit_code();
            }
        }
    }
    if alarmed { ALARM } else { 0 }
}
