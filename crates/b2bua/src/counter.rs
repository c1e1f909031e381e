//! Everything that the switch refuses, ignores, drops or gives up, one counter each.

/// What was counted. Each is a total since boot, of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Counter {
    /// INVITEs that opened a call slot.
    CallsOffered,
    /// Calls that control admitted.
    CallsAdmitted,
    /// Calls whose 200 went to the caller.
    CallsAnswered,
    /// Calls whose record was handed to control.
    CallsEnded,
    /// Calls rebuilt from a checkpoint at boot.
    CallsAdopted,
    /// Calls that a dead dataplane left and that could not be rebuilt.
    CallsNotAdopted,
    /// INVITEs sent to vendors.
    Attempts,
    /// Changes to the next candidate.
    Failovers,
    /// INVITEs not sent because no way leads to the vendor.
    VendorsUnreachable,
    /// INVITEs given up because the vendor said nothing at all (408 if it was the last).
    VendorsSilent,
    /// INVITEs given up because the vendor did not ring in time (408 if it was the last).
    VendorsSlow,
    /// Calls refused with 408 because no vendor rang within the time of the search.
    SearchesExpired,
    /// INVITEs sent without a number that the caller withholds.
    NumbersWithheld,
    /// Candidates passed over because they had no line when their turn came.
    CandidatesFull,
    /// Profiles of gateways that found no room.
    ProfilesFull,
    /// Contacts of vendors' 3xx that were tried.
    RedirectsTried,
    /// Contacts of vendors' 3xx that led back to us, to where the call had been, or nowhere.
    RedirectsUnfit,
    /// Contacts of vendors' 3xx whose name control was asked for.
    RedirectsLocated,
    /// Challenges answered with a gateway's password.
    ChallengesAnswered,
    /// Challenges that came again after that (AUTH-08).
    PasswordsRefused,
    /// Orders of control to send something outside of calls.
    Errands,
    /// Orders to send something that no URI could be made of.
    ErrandsUnfit,
    /// Orders to send something while too much of the kind was under way.
    ErrandsFull,
    /// New calls and REGISTERs refused with 503 because control is away.
    RefusedControlAway,
    /// New calls refused with 503 because as many questions wait for control as should.
    RefusedControlBusy,
    /// New calls and REGISTERs refused with 503 because this worker does not keep up with what comes.
    RefusedWorkerBusy,
    /// New calls refused with 503 because the box drains.
    RefusedDraining,
    /// New calls refused with 503: no free call slot.
    RefusedCallsFull,
    /// New requests refused with 503: no free transaction.
    RefusedTransactionsFull,
    /// New requests refused with 503: no room to keep their messages.
    RefusedKeptFull,
    /// Calls refused with 503, and candidates passed over: no free media port.
    RefusedPortsFull,
    /// Repetitions of an INVITE that was refused with 503 before.
    RefusedAgain,
    /// Calls and REGISTERs refused with 503 because control did not answer in time.
    RefusedAdmitLate,
    /// Messages longer than `message_bytes_max` (513), and requests refused with 400 because a field of
    /// them does not fit our memory of a dialog.
    RefusedTooLong,
    /// Offers that could not be used (488).
    RefusedMedia,
    /// Descriptions that had not the keys that their gateway wants, or such as it does not want (488).
    RefusedUnsecured,
    /// Calls whose speech was transcoded.
    CallsTranscoded,
    /// Offers without codecs that we would make, and answers that needed them and were refused, because all
    /// transcoders were taken.
    TranscodersFull,
    /// Broken datagrams that were answered (400, 505, ...).
    FaultsAnswered,
    /// Broken datagrams that were dropped in silence.
    FaultsDropped,
    /// Requests refused by the checks of RFC 3261 §8.2 (415, 416, 420, ...).
    RefusedUnsupported,
    /// Methods we do not do (405, 501).
    RefusedMethod,
    /// REGISTERs that cannot be obeyed whoever sent them (400, 403, 404, 513).
    RefusedRegister,
    /// REGISTERs with a fresh nonce of ours, handed to control.
    RegistersOffered,
    /// REGISTERs that control granted (200).
    RegistersGranted,
    /// Requests asked to say who they are (401, 407).
    Challenged,
    /// Requests with a nonce that is not ours, or was given to another source.
    NoncesForeign,
    /// Requests with a nonce of ours that is too old.
    NoncesStale,
    /// Digests that cannot be read, are longer than we can tell, or are for another number: the sender is asked
    /// again.
    CredentialsUnusable,
    /// Requests with Max-Forwards 0 (483).
    RefusedHops,
    /// The same request by two roads (482, RFC 3261 §8.2.2.2).
    RefusedMerged,
    /// Requests for a dialog that is not here (481).
    DialogUnknown,
    /// Requests of a dialog with a sequence number already used (500, §12.2.2).
    SequenceOld,
    /// Re-INVITEs that met another one (491, or 500 with Retry-After, §14.2).
    Glare,
    /// OPTIONS answered outside of calls.
    OptionsAnswered,
    /// Requests absorbed as repetitions.
    RequestsRepeated,
    /// ACKs for nothing we know.
    AcksUnmatched,
    /// CANCELs for nothing we know (481).
    CancelsUnmatched,
    /// Responses to nothing we asked.
    ResponsesUnmatched,
    /// Responses from another address than the request went to; over UDP they are taken all the same.
    ResponsesMisplaced,
    /// Answers of control that came too late.
    AnswersLate,
    /// Answers of control that no call could use.
    AnswersInvalid,
    /// Orders for a call that is not here.
    OrdersUnmatched,
    /// Answers that went to the caller before their start record was durable.
    Uncommitted,
    /// 2xx of a branch that was given up or lost the race: ACK and BYE.
    AnswersUnwanted,
    /// 2xx never acknowledged (§13.3.1.4).
    AcksMissing,
    /// Transactions without any response (timers B and F).
    TransactionsTimedOut,
    /// Calls ended because no media came.
    MediaTimeouts,
    /// Messages not sent because the outbox was full.
    OutboxFull,
    /// Messages not sent because they exceed `message_bytes_max`.
    MessagesTooLong,
    /// Messages not kept for repetition because the pool was full.
    KeptFull,
    /// Requests of ours not sent because no transaction was free.
    TransactionsFull,
    /// Media lines given port 0 because we relay only the first RTP streams of an offer.
    StreamsRefused,
    /// REGISTERs, PUBLISHes and INVITEs of who failed to log in too often.
    RefusedShutOut,
    /// Requests answered in silence, because a parameter or control says so.
    Silenced,
    /// Requests of ours that came back: no connection to the peer, or ICMP says that nobody is there.
    RequestsUndeliverable,
    /// Requests of ours that went by TCP because they are long.
    RequestsByTcp,
    /// Of these, requests that came back and went once more, by UDP.
    RequestsBackToUdp,
    /// Responses of ours that came back.
    ResponsesUndeliverable,
    /// What came back and belongs to no transaction of ours: too late, too short, or forged.
    UndeliverableUnmatched,
    /// PRACKs for no reliable response that waits for one (481).
    PracksUnmatched,
    /// Reliable provisional responses never acknowledged (RFC 3262 §3).
    PracksMissing,
    /// Reliable provisional responses of vendors that came again or out of order.
    ProvisionalsRepeated,
    /// Provisional responses left out because a later one overtook them while an earlier one waited for
    /// its PRACK.
    ProvisionalsSkipped,
    /// Requests refused with 422: they ask for a session shorter than we take.
    RefusedSessionShort,
    /// Refreshes of sessions that we sent (RFC 4028).
    SessionsRefreshed,
    /// Calls ended because nobody refreshed the session of a leg.
    SessionsExpired,
    /// Transfers begun, by REFER or by keys.
    Transfers,
    /// Transfers whose target talks in the transferor's place.
    TransfersDone,
    /// Transfers whose target was not to be had.
    TransfersFailed,
    /// Transfers that were begun by keys and after which the two talk on: taken back, or no number was pressed.
    TransfersTakenBack,
    /// Ringing calls that somebody else picked up.
    Pickups,
    /// Calls that rang no more when they were to be picked up, or whose media did not fit (481, 488).
    PickupsRefused,
    /// Calls whose caller heard ringback of ours.
    RingTones,
    /// Calls whose caller began to hear why they fail.
    Announcements,
    /// Calls whose caller heard all of that.
    AnnouncementsFinished,
    /// Calls whose caller did not hear all of that: it went first, or was never heard.
    AnnouncementsCut,
    /// Calls that failed unannounced for want of room: too many prompts, too few slots or ports, or too much to do.
    AnnouncementsFull,
    /// Keys that went on another way than they came: as events, as tones or as INFO.
    KeysTurned,
    /// Keys that came again by another way within a second, or as INFO from who sends events, and went on once.
    KeysAgain,
    /// Keys that were not told: too many at once, or no way there.
    KeysLost,
    /// REFERs that name nobody, or come while the call is being changed, and Replaces of no call (4xx).
    TransfersRefused,
    /// Transfers refused with 503: as many as may be are under way.
    TransfersFull,
    /// Requests of strangers refused because no fence lets anybody in from there, and places outside a
    /// fence that were not called.
    FencedSignalling,
    /// Descriptions refused because they want media outside a fence (403, 488, or the next candidate).
    FencedDescriptions,
    /// Flows that would have learned an address outside a fence.
    FencedMedia,
    /// Tellings of fences that found no room; the one before holds.
    FencesFull,
}

impl Counter {
    /// Every counter, in the order of its number.
    pub const ALL: &'static [Self] = &[
        Self::CallsOffered,
        Self::CallsAdmitted,
        Self::CallsAnswered,
        Self::CallsEnded,
        Self::CallsAdopted,
        Self::CallsNotAdopted,
        Self::Attempts,
        Self::Failovers,
        Self::VendorsUnreachable,
        Self::VendorsSilent,
        Self::VendorsSlow,
        Self::SearchesExpired,
        Self::NumbersWithheld,
        Self::CandidatesFull,
        Self::ProfilesFull,
        Self::RedirectsTried,
        Self::RedirectsUnfit,
        Self::RedirectsLocated,
        Self::ChallengesAnswered,
        Self::PasswordsRefused,
        Self::Errands,
        Self::ErrandsUnfit,
        Self::ErrandsFull,
        Self::RefusedControlAway,
        Self::RefusedControlBusy,
        Self::RefusedWorkerBusy,
        Self::RefusedDraining,
        Self::RefusedCallsFull,
        Self::RefusedTransactionsFull,
        Self::RefusedKeptFull,
        Self::RefusedPortsFull,
        Self::RefusedAgain,
        Self::RefusedAdmitLate,
        Self::RefusedTooLong,
        Self::RefusedMedia,
        Self::RefusedUnsecured,
        Self::CallsTranscoded,
        Self::TranscodersFull,
        Self::FaultsAnswered,
        Self::FaultsDropped,
        Self::RefusedUnsupported,
        Self::RefusedMethod,
        Self::RefusedRegister,
        Self::RegistersOffered,
        Self::RegistersGranted,
        Self::Challenged,
        Self::NoncesForeign,
        Self::NoncesStale,
        Self::CredentialsUnusable,
        Self::RefusedHops,
        Self::RefusedMerged,
        Self::DialogUnknown,
        Self::SequenceOld,
        Self::Glare,
        Self::OptionsAnswered,
        Self::RequestsRepeated,
        Self::AcksUnmatched,
        Self::CancelsUnmatched,
        Self::ResponsesUnmatched,
        Self::ResponsesMisplaced,
        Self::AnswersLate,
        Self::AnswersInvalid,
        Self::OrdersUnmatched,
        Self::Uncommitted,
        Self::AnswersUnwanted,
        Self::AcksMissing,
        Self::TransactionsTimedOut,
        Self::MediaTimeouts,
        Self::OutboxFull,
        Self::MessagesTooLong,
        Self::KeptFull,
        Self::TransactionsFull,
        Self::StreamsRefused,
        Self::RefusedShutOut,
        Self::Silenced,
        Self::RequestsUndeliverable,
        Self::RequestsByTcp,
        Self::RequestsBackToUdp,
        Self::ResponsesUndeliverable,
        Self::UndeliverableUnmatched,
        Self::PracksUnmatched,
        Self::PracksMissing,
        Self::ProvisionalsRepeated,
        Self::ProvisionalsSkipped,
        Self::RefusedSessionShort,
        Self::SessionsRefreshed,
        Self::SessionsExpired,
        Self::Transfers,
        Self::TransfersDone,
        Self::TransfersFailed,
        Self::TransfersTakenBack,
        Self::Pickups,
        Self::PickupsRefused,
        Self::RingTones,
        Self::Announcements,
        Self::AnnouncementsFinished,
        Self::AnnouncementsCut,
        Self::AnnouncementsFull,
        Self::KeysTurned,
        Self::KeysAgain,
        Self::KeysLost,
        Self::TransfersRefused,
        Self::TransfersFull,
        Self::FencedSignalling,
        Self::FencedDescriptions,
        Self::FencedMedia,
        Self::FencesFull,
    ];

    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Its name in metrics and `status`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CallsOffered => "calls_offered",
            Self::CallsAdmitted => "calls_admitted",
            Self::CallsAnswered => "calls_answered",
            Self::CallsEnded => "calls_ended",
            Self::CallsAdopted => "calls_adopted",
            Self::CallsNotAdopted => "calls_not_adopted",
            Self::Attempts => "attempts",
            Self::Failovers => "failovers",
            Self::VendorsUnreachable => "vendors_unreachable",
            Self::VendorsSilent => "vendors_silent",
            Self::VendorsSlow => "vendors_slow",
            Self::SearchesExpired => "searches_expired",
            Self::NumbersWithheld => "numbers_withheld",
            Self::CandidatesFull => "candidates_full",
            Self::ProfilesFull => "profiles_full",
            Self::RedirectsTried => "redirects_tried",
            Self::RedirectsUnfit => "redirects_unfit",
            Self::RedirectsLocated => "redirects_located",
            Self::ChallengesAnswered => "challenges_answered",
            Self::PasswordsRefused => "passwords_refused",
            Self::Errands => "errands",
            Self::ErrandsUnfit => "errands_unfit",
            Self::ErrandsFull => "errands_full",
            Self::RefusedControlAway => "refused_control_away",
            Self::RefusedControlBusy => "refused_control_busy",
            Self::RefusedWorkerBusy => "refused_worker_busy",
            Self::RefusedDraining => "refused_draining",
            Self::RefusedCallsFull => "refused_calls_full",
            Self::RefusedTransactionsFull => "refused_transactions_full",
            Self::RefusedKeptFull => "refused_kept_full",
            Self::RefusedPortsFull => "refused_ports_full",
            Self::RefusedAgain => "refused_again",
            Self::RefusedAdmitLate => "refused_admit_late",
            Self::RefusedTooLong => "refused_too_long",
            Self::RefusedMedia => "refused_media",
            Self::RefusedUnsecured => "refused_srtp",
            Self::CallsTranscoded => "calls_transcoded",
            Self::TranscodersFull => "transcoders_full",
            Self::FaultsAnswered => "faults_answered",
            Self::FaultsDropped => "faults_dropped",
            Self::RefusedUnsupported => "refused_unsupported",
            Self::RefusedMethod => "refused_method",
            Self::RefusedRegister => "refused_register",
            Self::RegistersOffered => "registers_offered",
            Self::RegistersGranted => "registers_granted",
            Self::Challenged => "challenged",
            Self::NoncesForeign => "nonces_foreign",
            Self::NoncesStale => "nonces_stale",
            Self::CredentialsUnusable => "credentials_unusable",
            Self::RefusedHops => "refused_hops",
            Self::RefusedMerged => "refused_merged",
            Self::DialogUnknown => "dialog_unknown",
            Self::SequenceOld => "sequence_old",
            Self::Glare => "glare",
            Self::OptionsAnswered => "options_answered",
            Self::RequestsRepeated => "requests_repeated",
            Self::AcksUnmatched => "acks_unmatched",
            Self::CancelsUnmatched => "cancels_unmatched",
            Self::ResponsesUnmatched => "responses_unmatched",
            Self::ResponsesMisplaced => "responses_misplaced",
            Self::AnswersLate => "answers_late",
            Self::AnswersInvalid => "answers_invalid",
            Self::OrdersUnmatched => "orders_unmatched",
            Self::Uncommitted => "uncommitted",
            Self::AnswersUnwanted => "answers_unwanted",
            Self::AcksMissing => "acks_missing",
            Self::TransactionsTimedOut => "transactions_timed_out",
            Self::MediaTimeouts => "media_timeouts",
            Self::OutboxFull => "outbox_full",
            Self::MessagesTooLong => "messages_too_long",
            Self::KeptFull => "kept_full",
            Self::TransactionsFull => "transactions_full",
            Self::StreamsRefused => "streams_refused",
            Self::RefusedShutOut => "refused_shut_out",
            Self::Silenced => "silenced",
            Self::RequestsUndeliverable => "requests_undeliverable",
            Self::RequestsByTcp => "requests_by_tcp",
            Self::RequestsBackToUdp => "requests_back_to_udp",
            Self::ResponsesUndeliverable => "responses_undeliverable",
            Self::UndeliverableUnmatched => "undeliverable_unmatched",
            Self::PracksUnmatched => "pracks_unmatched",
            Self::PracksMissing => "pracks_missing",
            Self::ProvisionalsRepeated => "provisionals_repeated",
            Self::ProvisionalsSkipped => "provisionals_skipped",
            Self::RefusedSessionShort => "refused_session_short",
            Self::SessionsRefreshed => "sessions_refreshed",
            Self::SessionsExpired => "sessions_expired",
            Self::Transfers => "transfers",
            Self::TransfersDone => "transfers_done",
            Self::TransfersFailed => "transfers_failed",
            Self::TransfersTakenBack => "transfers_taken_back",
            Self::Pickups => "pickups",
            Self::PickupsRefused => "pickups_refused",
            Self::RingTones => "ring_tones",
            Self::Announcements => "announcements",
            Self::AnnouncementsFinished => "announcements_finished",
            Self::AnnouncementsCut => "announcements_cut",
            Self::AnnouncementsFull => "announcements_full",
            Self::KeysTurned => "keys_turned",
            Self::KeysAgain => "keys_again",
            Self::KeysLost => "keys_lost",
            Self::TransfersRefused => "transfers_refused",
            Self::TransfersFull => "transfers_full",
            Self::FencedSignalling => "fenced_signalling",
            Self::FencedDescriptions => "fenced_descriptions",
            Self::FencedMedia => "fenced_media",
            Self::FencesFull => "fences_full",
        }
    }
}

/// One number per [`Counter`].
pub(crate) struct Counters([u64; Counter::COUNT]);

impl Counters {
    pub(crate) fn new() -> Self {
        Self([0; Counter::COUNT])
    }

    pub(crate) fn add(&mut self, counter: Counter) {
        let count = &mut self.0[counter as usize];
        *count = count.wrapping_add(1);
    }

    pub(crate) fn all(&self) -> &[u64; Counter::COUNT] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_number_and_an_own_name() {
        let mut names = std::collections::BTreeSet::new();
        for (number, &counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter as usize, number);
            assert!(names.insert(counter.name()));
        }
    }
}
