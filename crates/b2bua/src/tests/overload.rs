//! More than can be carried: who is sent away, and what goes on all the same.

use super::challenge::with_line;
use super::registrar::{CONTACT, register};
use super::*;

/// Calls begin and are answered until one is sent away; what each caller was answered.
fn talk_until_full(world: &mut World) -> Vec<String> {
    let mut answers = Vec::new();
    for number in 1.. {
        world.caller_sends(&invite(number, &caller_sdp()));
        let Some(Ask::Admit(admit)) = world.asks.pop() else { break };
        world.route(admit.call, &[0]);
        world.caller_gets(TRYING);
        let invite = world.vendor_gets(0, "INVITE ");
        world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        answers.push(answer);
    }
    let refusal = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&refusal, "Retry-After"), "5");
    world.is_quiet();
    answers
}

fn bye(answer: &str) -> String {
    let branch = format!("z9hG4bKbye-{}", header(answer, "Call-ID"));
    caller_request("BYE", 2, answer, "").replacen("z9hG4bKBYE2", &branch, 1)
}

#[test]
fn every_call_can_end_though_memory_for_new_ones_is_full() {
    let roomy = Limits { calls_max: 24, transactions_max: 512, kept_messages_max: 512, ..limits() };
    for (limits, full) in [
        (Limits { transactions_max: 48, ..roomy }, Counter::RefusedTransactionsFull),
        (Limits { kept_messages_max: 20, ..roomy }, Counter::RefusedKeptFull),
    ] {
        let mut world = World::with_limits(limits);
        let answers = talk_until_full(&mut world);
        assert!(answers.len() >= 8, "{full:?}: only {} calls", answers.len());
        assert_eq!(world.count(full), 1);
        for answer in &answers {
            world.caller_sends(&bye(answer));
            world.caller_gets("SIP/2.0 200 ");
            let bye = world.vendor_gets(0, "BYE ");
            world.vendor_says(0, &bye, 200, "v", "");
            // The answer is repeated to who repeats the request: it is kept.
            world.caller_sends(&self::bye(answer));
            world.caller_gets("SIP/2.0 200 ");
        }
        assert_eq!(world.count(full), 1, "{full:?}");
        world.settles();
    }
}

#[test]
fn registrations_leave_calls_what_they_need_to_end() {
    let limits = Limits { calls_max: 20, transactions_max: 80, ..limits() };
    let mut world = World::with_limits(Limits { kept_messages_max: 512, ..limits });
    let answers = talk_until_full(&mut world);
    let free = world.switch.transactions.free();
    let proof = world.proof();
    for number in 2..50 {
        world.caller_sends(&with_line(&register(number, CONTACT), &proof));
    }
    world.ignore_messages();
    let taken = free - world.switch.transactions.free();
    assert!(taken < 4, "{taken} of {free} for REGISTERs while {} talk", answers.len());
    world.asks.clear();
    world.settles();
}

#[test]
fn a_busy_worker_sends_new_calls_away_and_carries_those_it_has() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    world.switch.set_worker_busy(true);
    let free = world.switch.transactions.free();
    world.caller_sends(&invite(2, &caller_sdp()));
    let refused = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&refused, "Retry-After"), "5");
    world.caller_sends(&register(2, CONTACT));
    world.caller_gets("SIP/2.0 503 ");
    assert_eq!(world.count(Counter::RefusedWorkerBusy), 2);
    assert_eq!(world.switch.transactions.free(), free, "a refusal leaves nothing behind");
    // Help is called for whatever the load.
    world.caller_sends(&invite(3, &caller_sdp()).replacen("sip:4420@", "sip:112@", 1));
    let admit = world.admit();
    world.refuse(admit.call, 404, 0);
    world.ignore_messages();
    world.caller_sends(&bye(&answer));
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_gets(0, "BYE ");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.switch.set_worker_busy(false);
    world.caller_sends(&invite(4, &caller_sdp()));
    let admit = world.admit();
    world.refuse(admit.call, 404, 0);
    world.settles();
}

/// Asks something in a call again and again, until no transaction is free.
fn fill_transactions(world: &mut World, answer: &str) {
    for cseq in 100.. {
        world.caller_sends(&caller_request("OPTIONS", cseq, answer, ""));
        world.caller_gets("SIP/2.0 200 ");
        if world.switch.transactions.free() == 0 {
            return;
        }
    }
}

#[test]
fn without_room_for_a_transaction_a_bye_goes_all_the_same() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    fill_transactions(&mut world, &answer);
    let order = link::order::HangUp { call: key, reason: EndReason::Operator as u32 };
    world.order(Order::HangUp(order));
    let bye = world.caller_gets("BYE ");
    world.caller_sends(&response(&bye, 200, "", CALLER, ""));
    world.vendor_gets(0, "BYE ");
    assert_eq!(world.count(Counter::TransactionsFull), 2);
    world.ended_by(key, EndedBy::Server, EndReason::Operator);
    world.settles();
}

#[test]
fn without_room_for_a_transaction_an_unwanted_answer_is_hung_up_all_the_same() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    world.caller_sends(&invite(2, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[1]);
    let to_vendor = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_vendor, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    world.caller_sends(&beside_invite(2, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.vendor_gets(1, "CANCEL ");
    world.ignore_messages();
    fill_transactions(&mut world, &answer);
    world.vendor_says(1, &to_vendor, 200, "v", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    world.vendor_gets(1, "BYE ");
    world.caller_sends(&caller_request("BYE", 1_000, &answer, ""));
    world.ignore_messages();
    world.settles();
}
