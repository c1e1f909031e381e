//! `tollgate phone`

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All of them, and whether they are online.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One.
    Show {
        /// Its name.
        name: String,
    },
    /// A new one.
    Create {
        /// Its name: digest username and user part of its address.
        name: String,
        #[command(flatten)]
        fields: Flags,
    },
    /// Change one.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: Flags,
    },
    /// Delete one; its registration goes with it.
    Delete {
        /// Its name.
        name: String,
    },
    /// All of them as CSV, with every field that can be set; passwords are not in it.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
}

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Who is charged.
    #[arg(long)]
    account: Option<String>,
    /// By which tariff.
    #[arg(long)]
    tariff: Option<String>,
    /// The caller that others see.
    #[arg(long)]
    number: Option<String>,
    /// A number that rings it, as its name does; may be repeated.
    #[arg(long = "owns")]
    numbers: Vec<String>,
    /// What it proves itself with; '' takes it back.
    #[arg(long)]
    password: Option<String>,
    /// Make a password and print it, this once.
    #[arg(long, conflicts_with = "password")]
    generate_password: bool,
    /// Simultaneous calls, both ways; 0: no limit.
    #[arg(long)]
    lines_max: Option<u32>,
    /// Longest call, s; 0: no limit.
    #[arg(long)]
    talk_s_max: Option<u32>,
    /// It neither registers nor calls nor is called: true or false.
    #[arg(long)]
    locked: Option<bool>,
    /// Which of its contacts ring: newest or all.
    #[arg(long)]
    ring: Option<String>,
    /// Contacts at a time, 1 to 8.
    #[arg(long)]
    contacts_max: Option<u8>,
    /// Routing gateway for calls to it while it is offline; '' for none.
    #[arg(long)]
    offline_gateway: Option<String>,
    /// Routing gateways follow where it takes no call: true or false.
    #[arg(long)]
    fall_through: Option<bool>,
    /// MESSAGE is passed on inside its calls: true or false.
    #[arg(long)]
    message: Option<bool>,
    /// Whether its media are under keys (SRTP): off, optional or required.
    #[arg(long)]
    srtp: Option<String>,
    /// How it knows keys: auto, rfc4733, info or inband.
    #[arg(long)]
    dtmf: Option<String>,
    /// It hears a prompt where its calls fail: true or false.
    #[arg(long)]
    announcements: Option<bool>,
    /// PUBLISH of it is taken: true or false.
    #[arg(long)]
    publish: Option<bool>,
    /// Phones of one name here pick up each other's calls; '' for none.
    #[arg(long)]
    pickup_group: Option<String>,
    /// What is done with its addresses: unset, ignore, forbid or allow.
    #[arg(long)]
    fence_mode: Option<String>,
    /// A geo set that its fence means; may be repeated. `--field fence_sets=` takes all of them away.
    #[arg(long = "fence-set")]
    fence_sets: Vec<String>,
    /// Any field, NAME=VALUE as in a cell of an export; may be repeated. `numbers=` takes all of them
    /// away.
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
}

impl Flags {
    fn fields(self, context: &Context) -> Result<Fields, Failure> {
        Ok(Fields::from(SHEET.fields(context, &self.fields)?)
            .set("account", self.account)
            .set("tariff", self.tariff)
            .set("number", self.number)
            .list("numbers", &self.numbers)
            .set("password", self.password)
            .set("lines_max", self.lines_max)
            .set("talk_s_max", self.talk_s_max)
            .set("locked", self.locked)
            .set("ring", self.ring)
            .set("contacts_max", self.contacts_max)
            .set("offline_gateway", self.offline_gateway)
            .set("fall_through", self.fall_through)
            .set("message", self.message)
            .set("srtp", self.srtp)
            .set("dtmf", self.dtmf)
            .set("announcements", self.announcements)
            .set("publish", self.publish)
            .set("pickup_group", self.pickup_group)
            .set("fence_mode", self.fence_mode)
            .list("fence_sets", &self.fence_sets))
    }

    /// What the path ends with.
    fn query(&self) -> &'static str {
        if self.generate_password { "?generate_password=1" } else { "" }
    }
}

const SHEET: Sheet = Sheet { list: "/phone", key: "name", change: Change::Patch, spellings: false };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| format!("/phone/{}", escape(name));
    match verb {
        Verb::List { page } => context.pages(
            "/phone",
            &page,
            &[
                "name", "account", "tariff", "number", "numbers", "online", "contacts", "lines",
                "locked",
            ],
        ),
        Verb::Show { name } => context.list(&path(&name), &[]),
        Verb::Create { name, fields } => {
            let path = format!("/phone{}", fields.query());
            let fields = fields.fields(context)?.set("name", Some(name));
            context.send(Method::POST, &path, fields.body())
        }
        Verb::Set { name, fields } => {
            let path = format!("{}{}", path(&name), fields.query());
            context.send(Method::PATCH, &path, fields.fields(context)?.body())
        }
        Verb::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Verb::Export => SHEET.export(context),
        Verb::Import(import) => SHEET.import(context, &import),
    }
}
