//! Names in a vendor's 3xx: what a call that waits for one hears, and what DNS is spared.

use link::Transport;
use link::answer::Located;
use link::ask::Locate;
use zerocopy::FromZeros;

use super::*;
use crate::resolve::{Outcome, Server};

fn locate(question: u32, name: &str) -> Locate {
    let mut locate = Locate::new_zeroed();
    locate.call = CallKey { slot: 9, generation: 1 };
    locate.question = question;
    locate.name = Text::new(name.as_bytes()).unwrap();
    locate
}

fn server(priority: u16, address: &str) -> Server {
    let addresses = vec![address.parse().unwrap()];
    Server { priority, weight: 0, transport: Transport::Tcp, addresses }
}

impl Desk {
    fn locates(&mut self, locate: &Locate) {
        self.office.handle_ask(self.time, 0, &Ask::Locate(*locate), || None);
    }

    /// What calls heard: which question, and where.
    fn heard(&mut self) -> Vec<(u32, String)> {
        let text = |it: &Located| {
            let places =
                it.places().iter().map(|place| format!("{:?} {place:?}", place.transport()));
            (it.question, places.collect::<Vec<String>>().join(", "))
        };
        let answers = self.answers();
        let located = answers.iter().map(|answer| match answer {
            Answer::Located(located) => text(located),
            other => panic!("a place, not {other:?}"),
        });
        located.collect()
    }

    fn wanted(&mut self) -> Vec<String> {
        self.office.handle_tick(self.time);
        std::iter::from_fn(|| self.office.poll_name()).map(|(name, _)| name).collect()
    }
}

#[test]
fn calls_wait_for_a_name_together_and_later_ones_need_not() {
    let mut desk = Desk::new("10");
    for question in 1..3 {
        desk.locates(&locate(question, "SIP.Elsewhere.example."));
    }
    assert_eq!(desk.wanted(), ["sip.elsewhere.example"], "once for both");
    assert!(desk.heard().is_empty());
    let servers = vec![server(2, "10.7.0.2:5060"), server(1, "10.7.0.1:5062")];
    let found = Outcome::Found(servers, 60);
    desk.office.handle_resolved(desk.time, "sip.elsewhere.example", found);
    let places = "Tcp 10.7.0.1:5062, Tcp 10.7.0.2:5060".to_owned();
    assert_eq!(desk.heard(), [(1, places.clone()), (2, places.clone())]);
    desk.locates(&locate(3, "sip.elsewhere.example"));
    assert_eq!(desk.heard(), [(3, places)]);
    desk.pass(60_000);
    desk.locates(&locate(4, "sip.elsewhere.example"));
    assert_eq!(desk.wanted().len(), 1, "it is old");
    assert!(desk.alarms().is_empty());
}

#[test]
fn port_and_transport_are_part_of_the_question() {
    let mut desk = Desk::new("10");
    for (port, transport, asked) in [
        (0, 0, "a.example"),
        (5070, 0, "a.example:5070"),
        (0, 2, "sip:a.example;transport=tcp"),
        (5071, 3, "sip:a.example:5071;transport=tls"),
    ] {
        desk.locates(&Locate { port, transport, ..locate(1, "a.example") });
        assert_eq!(desk.wanted(), [asked]);
    }
}

#[test]
fn what_leads_nowhere_is_said_at_once_and_not_asked_again_soon() {
    let mut desk = Desk::new("10");
    for (name, outcome) in
        [("gone.example", Outcome::Absent(60)), ("mute.example", Outcome::Failed("timeout".into()))]
    {
        desk.locates(&locate(1, name));
        assert_eq!(desk.wanted(), [name]);
        desk.office.handle_resolved(desk.time, name, outcome);
        assert_eq!(desk.heard(), [(1, String::new())]);
        desk.locates(&locate(2, name));
        assert_eq!(desk.heard(), [(2, String::new())]);
        assert!(desk.wanted().is_empty());
    }
    assert!(desk.alarms().is_empty(), "no name of ours");
    for name in ["-x.example", "a b", "192.0.2", "x..y"] {
        desk.locates(&locate(1, name));
        assert_eq!(desk.heard(), [(1, String::new())], "{name}");
    }
}

#[test]
fn names_of_strangers_take_no_search_from_the_names_of_gateways() {
    let mut desk = Desk::new("10");
    for number in 0..1_000 {
        desk.locates(&locate(number, &format!("n{number}.example")));
    }
    assert_eq!(desk.wanted().len(), 16);
    assert_eq!(desk.heard().len(), 984, "the others hear at once that nobody knows");
    desk.patch("gateway/routing/first", json!({"target": "carrier.example"}));
    assert_eq!(desk.wanted(), ["carrier.example"]);
    // Answers that never come are waited for in vain for a minute.
    desk.pass(60_000);
    desk.wanted();
    desk.locates(&locate(1, "late.example"));
    assert_eq!(desk.wanted(), ["late.example"]);
}

#[test]
fn a_name_of_a_gateway_is_known_already() {
    let mut desk = Desk::new("10");
    desk.patch("gateway/routing/first", json!({"target": "carrier.example"}));
    desk.wanted();
    let found = Outcome::Found(vec![server(1, "10.7.0.1:5060")], 60);
    desk.office.handle_resolved(desk.time, "carrier.example", found);
    desk.answers();
    desk.locates(&locate(1, "carrier.example"));
    assert_eq!(desk.heard(), [(1, "Tcp 10.7.0.1:5060".to_owned())]);
}
