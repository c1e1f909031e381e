//! Who is asked for a password, how, and what becomes of whoever has none.

use super::*;

#[test]
fn who_knows_no_password_learns_not_even_whether_there_is_such_a_phone() {
    let mut desk = Desk::with_alice();
    desk.post("phone", json!({"name": "mute", "account": "customer"})).unwrap();
    let mut answers = Vec::new();
    for user in ["alice", "mute", "nobody"] {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let login = Login { user, password: "Wrong-Horse-77", algorithm, ..ALICE };
            let mut wrong = register(&[(AT_HOME, 600)], 1);
            wrong.user = Text::new(user.as_bytes()).unwrap();
            wrong.credentials = login.credentials(SipMethod::Register);
            answers.push(desk.registers(&wrong));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!((answers[0].status, answers[0].stale), (401, 0));
    assert_eq!(desk.look("status")["registrations"]["failed"], json!(6));
    // Right for another method, or for somebody else's address of record, is not right.
    let mut other = register(&[(AT_HOME, 600)], 1);
    other.credentials = ALICE.credentials(SipMethod::Invite);
    assert_eq!(desk.registers(&other).status, 401);
    let mut bob = register(&[(AT_HOME, 600)], 1);
    bob.user = Text::new(b"bob").unwrap();
    assert_eq!(desk.registers(&bob).status, 403);
    assert_eq!(desk.office.state.bindings.live(), 0);
}

#[test]
fn both_algorithms_pass_with_a_count_and_without() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        for count in [0, 10] {
            let mut desk = Desk::with_alice();
            let mut right = register(&[(AT_HOME, 600)], 1);
            right.credentials =
                Login { algorithm, count, ..ALICE }.credentials(SipMethod::Register);
            assert_eq!(desk.registers(&right).status, 200, "{algorithm:?} {count}");
            // The same nonce once more: as a repetition it passes only where nothing is counted.
            let again = desk.registers(&right);
            let expected = if count == 0 { (200, 0) } else { (401, 1) };
            assert_eq!((again.status, again.stale), expected);
            right.call_id = Text::new(b"replayed").unwrap();
            let replayed = desk.registers(&right);
            assert_eq!((replayed.status, replayed.stale), (401, 1));
            let mut next = register(&[(AT_HOME, 600)], 2);
            next.credentials = Login { algorithm, count: 11, nonce: "n2", ..ALICE }
                .credentials(SipMethod::Register);
            assert_eq!(desk.registers(&next).status, 200);
        }
    }
}

#[test]
fn an_aged_nonce_is_told_so_whatever_came_with_it_and_counts_against_nobody() {
    let mut desk = Desk::with_alice();
    for password in [PASSWORD, "Wrong-Horse-77"] {
        for (freshness, stale) in
            [(Freshness::Stale, 1), (Freshness::Foreign, 0), (Freshness::None, 0)]
        {
            let mut old = register(&[(AT_HOME, 600)], 1);
            old.credentials = Login { password, ..ALICE }.credentials(SipMethod::Register);
            old.credentials.freshness = freshness as u8;
            let answer = desk.registers(&old);
            assert_eq!((answer.status, answer.stale), (401, stale));
        }
    }
    assert_eq!(desk.look("status")["registrations"]["failed"], json!(0));
}

#[test]
fn where_nobody_has_a_password_nobody_is_asked_for_one() {
    let mut desk = Desk::new("10");
    assert_eq!(desk.registers(&register(&[(AT_HOME, 600)], 1)).status, 403);
    desk.set("SS_REPLY_UNAUTHORIZED", "0");
    assert_eq!(desk.registers(&register(&[(AT_HOME, 600)], 2)).status, 0);
}

#[test]
fn the_mode_of_challenges_says_which_status_asks() {
    let mut desk = Desk::with_alice();
    for (mode, to_register, to_invite) in [("1", 401, 401), ("2", 407, 407), ("3", 401, 407)] {
        desk.set("SS_AUTHCHALLENGEMODE", mode);
        let mut bare = register(&[(AT_HOME, 600)], 1);
        bare.credentials = Credentials::default();
        assert_eq!(desk.registers(&bare).status, to_register, "{mode}");
        let admit = desk.invite(HOME, "44207");
        let challenge = desk.is_challenged(&admit);
        assert_eq!((challenge.status, challenge.stale, challenge.call), (to_invite, 0, admit.call));
    }
}

#[test]
fn a_challenge_that_nobody_answers_for_32_s_is_one_illegal_call() {
    let mut desk = Desk::with_alice();
    let admit = desk.invite(HOME, "44207");
    for _ in 0..3 {
        desk.is_challenged(&admit);
    }
    desk.pass_s(31);
    assert!(desk.settle().ends.is_empty());
    desk.pass_s(1);
    let ends = desk.settle().ends;
    let [end] = &ends[..] else { panic!("one, not {}", ends.len()) };
    assert_eq!((end.billing_mode, end.record.status), (BillingMode::Illegal, 407));
    assert_eq!(end.record.id, admit.record);
    desk.pass_s(60);
    assert!(desk.settle().ends.is_empty());
}

#[test]
fn a_wrong_password_is_asked_again_and_is_one_illegal_call_per_attempt() {
    let mut desk = Desk::with_alice();
    let mut admit = desk.invite(HOME, "44207");
    desk.is_challenged(&admit);
    admit.credentials =
        Login { password: "Wrong-Horse-77", ..ALICE }.credentials(SipMethod::Invite);
    for attempt in 2..4 {
        admit.facts.cseq = attempt;
        for _ in 0..3 {
            let challenge = desk.is_challenged(&admit);
            assert_eq!((challenge.status, challenge.stale), (407, 0));
        }
    }
    desk.pass_s(100);
    let ends = desk.settle().ends;
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|end| end.billing_mode == BillingMode::Illegal));
}

#[test]
fn challenges_in_flood_are_counted_and_none_is_lost() {
    let mut desk = Desk::with_alice();
    for n in 0..20_000_u32 {
        let source = format!("203.0.113.{}:{}", n % 250, 1_024 + n / 250);
        let admit = desk.invite(&source, "44207");
        desk.is_challenged(&admit);
    }
    let mut calls = 0;
    for _ in 0..200 {
        desk.pass_s(1);
        for end in desk.settle().ends {
            calls += end.describe()["calls"].as_u64().unwrap();
        }
    }
    assert_eq!(calls, 20_000);
}

#[test]
fn silence_for_strangers_is_none_for_those_who_are_registered_from_there() {
    let mut desk = Desk::with_alice();
    desk.set("SS_REPLY_UNAUTHORIZED", "0");
    let stranger = desk.invite(HOME, "44207");
    let no = desk.ask(&stranger).unwrap_err();
    assert_eq!((no.status, no.stateless), (0, 1));
    assert_eq!(desk.settle().ends.len(), 1, "an illegal call at once");
    desk.at_home(1);
    let admit = desk.invite("192.0.2.1:9999", "44207");
    assert_eq!(desk.is_challenged(&admit).status, 407);
    // A wrong port of a gateway's address is policed by address, whatever it says.
    desk.change("gateway/mapping/in", json!({"addresses": ["10.1.0.1:5060"]}));
    let mut wrong = desk.invite("10.1.0.1:5061", "44207");
    wrong.credentials = Login { count: 2, ..ALICE }.credentials(SipMethod::Invite);
    assert_eq!(desk.ask(&wrong).unwrap_err().reason, EndReason::Unauthorised as u8);
}

#[test]
fn a_trunk_may_ask_for_address_and_password_both() {
    let mut desk = Desk::with_alice();
    let money = json!({"amount": "10000", "request_id": "for parallel calls"});
    desk.post("account/customer/payment", money).unwrap();
    let both = json!({
        "authentication": "ip_and_password", "auth_username": "trunk", "auth_password": PASSWORD,
    });
    desk.change("gateway/mapping/in", both);
    let trunk = Login { user: "trunk", nonce: "t", ..ALICE };
    let outcome = |desk: &mut Desk, source: &str, login: Option<Login>| {
        let mut admit = desk.invite(source, "44207");
        if let Some(login) = login {
            admit.credentials = login.credentials(SipMethod::Invite);
        }
        desk.answers();
        desk.office.handle_admit(desk.time, 0, &admit);
        match desk.answers()[..] {
            [Answer::Route(_)] => "route",
            [Answer::Challenge(_)] => "challenge",
            [Answer::Refuse(_)] => "refuse",
            ref other => panic!("{other:?}"),
        }
    };
    let (inside, outside) = ("10.1.0.1:5060", "10.9.9.9:5060");
    assert_eq!(outcome(&mut desk, inside, None), "challenge");
    assert_eq!(outcome(&mut desk, inside, Some(trunk)), "route");
    assert_eq!(outcome(&mut desk, outside, Some(Login { nonce: "u", ..trunk })), "challenge");
    assert_eq!(outcome(&mut desk, inside, Some(Login { nonce: "v", ..ALICE })), "challenge");
    // By its password alone it may come from anywhere, and its tech prefix still counts.
    let alone = json!({"authentication": "password", "addresses": [], "tech_prefix": "44"});
    desk.change("gateway/mapping/in", alone);
    assert_eq!(outcome(&mut desk, outside, Some(Login { nonce: "w", ..trunk })), "refuse");
    desk.change("gateway/mapping/in", json!({"tech_prefix": ""}));
    assert_eq!(outcome(&mut desk, outside, Some(Login { nonce: "x", ..trunk })), "route");
    desk.change("gateway/mapping/in", json!({"locked": true}));
    assert_eq!(outcome(&mut desk, outside, Some(Login { nonce: "y", ..trunk })), "refuse");
}

#[test]
fn only_hashes_of_a_password_are_kept_and_nothing_of_it_is_shown() {
    let mut desk = Desk::new("10");
    let shown = desk.post("phone", alice()).unwrap();
    assert_eq!(shown["password"], json!("********"));
    let mut kept = 0;
    while let Some(change) = desk.office.poll_change() {
        if let Change::Put(entity) = change {
            let text = entity.body().to_string();
            assert!(!text.contains(PASSWORD) && text.contains("sha256"));
            let again = crate::state::entity::Entity::read(entity.kind(), 1, entity.body());
            assert_eq!(again.unwrap().body()["password"], entity.body()["password"]);
            kept += 1;
        }
    }
    assert_eq!(kept, 1);
    // Whoever sends back what was shown changes nothing.
    desk.change("phone/alice", json!({"password": shown["password"], "number": "390200"}));
    desk.at_home(1);
    let refused =
        |desk: &mut Desk, method, path: &str, body| desk.say(method, path, body).unwrap_err();
    for (field, value, word) in [
        ("password", json!("short"), "at least 12"),
        ("password", json!({"md5": "", "sha256": ""}), "text"),
        ("contacts_max", json!(9), "1 to 8"),
        ("numbers", json!(["39@x"]), "numbers"),
        ("ring", json!("some"), "ring"),
        ("offline_gateway", json!("none"), "none"),
    ] {
        let no = refused(&mut desk, Method::Patch, "phone/alice", json!({ field: value }));
        assert!(no.detail.contains(word), "{field}: {}", no.detail);
    }
    let no = refused(&mut desk, Method::Put, "param/TG_SIP_REALM", json!({"value": "other"}));
    assert!(no.status == 409 && no.detail.contains("1 passwords"), "{}", no.detail);
    desk.say(Method::Put, "param/TG_SIP_REALM", json!({"value": "tollgate"})).unwrap();
    // A new password ends what the old one registered.
    assert_eq!(desk.look("phone/alice")["online"], json!(true));
    desk.change("phone/alice", json!({"password": "New-Horse-2026"}));
    assert_eq!(desk.look("phone/alice")["online"], json!(false));
    desk.change("phone/alice", json!({"password": ""}));
    desk.say(Method::Put, "param/TG_SIP_REALM", json!({"value": "other"})).unwrap();
    desk.set("TG_SIP_PASSWORD_LENGTH", "6");
    desk.change("phone/alice", json!({"password": "Sh0rt!"}));
}
