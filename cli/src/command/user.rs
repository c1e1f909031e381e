//! `tollgate user`

use clap::{Subcommand, ValueEnum};
use hyper::Method;

use super::{Fields, Page};
use crate::client::{Body, escape};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Who may use the API, and as what. While nobody is listed, whoever can open its socket may do everything.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// List a user; from the first on, whoever is not listed is refused, but for root and the daemon's user.
    Create {
        /// As this machine calls that user.
        name: String,
        #[command(flatten)]
        fields: Flags,
    },
    /// Change a user's role.
    Update {
        /// The name.
        name: String,
        #[command(flatten)]
        fields: Flags,
    },
    /// That user may do nothing any more. When the last one goes, whoever can open the socket may do everything.
    #[command(visible_alias = "delete")]
    Remove {
        /// The name.
        name: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// What that user may do.
    #[arg(long)]
    role: Option<Role>,
    /// An agent's account, whose customers, calls and income alone that viewer sees; empty: everything.
    #[arg(long)]
    agent: Option<String>,
    /// For people.
    #[arg(long)]
    memo: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    /// See everything, change nothing.
    Viewer,
    /// And run the firewall, end calls and registrations, drain.
    Operator,
    /// Everything.
    Administrator,
}

impl Flags {
    fn fields(self) -> Fields {
        let role = self.role.and_then(|role| Some(role.to_possible_value()?.get_name().to_owned()));
        Fields::default().set("role", role).set("agent", self.agent).set("memo", self.memo)
    }
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| format!("/user/{}", escape(name));
    match verb {
        Verb::List { page } => context.pages("/user", &page, &["name", "role", "agent", "memo"]),
        Verb::Create { name, fields } => {
            context.send(Method::POST, "/user", fields.fields().set("name", Some(name)).body())
        }
        Verb::Update { name, fields } => {
            context.send(Method::PATCH, &path(&name), fields.fields().body())
        }
        Verb::Remove { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
    }
}
