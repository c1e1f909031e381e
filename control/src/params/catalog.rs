//! The table: every system parameter, and every field of a document that the field's manuals name.

/// What a parameter's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number in a range.
    Number(u64, u64),
    /// Prefixes, separated by commas.
    Prefixes,
    /// A realm or host name.
    Name,
    /// What is pressed on a phone.
    Keys,
    /// How often something may come.
    Rate,
    /// Ports, separated by commas.
    Ports,
    /// Words, separated by commas.
    Words,
    /// Names of geo sets, separated by commas.
    Sets,
    /// A field of documents, each with a value of its own; what it can be.
    Field(&'static str),
}

/// One row of the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its value unless changed.
    pub default: &'static str,
    /// Its range.
    pub kind: Kind,
    /// Its unit, empty if it has none.
    pub unit: &'static str,
    /// Who acts on it; of a field, whose it is.
    pub owner: &'static str,
    /// Whether a change changes anything yet.
    pub in_force: bool,
    /// What it means, 0 included.
    pub doc: &'static str,
}

const fn number(
    name: &'static str,
    default: &'static str,
    range: (u64, u64),
    unit: &'static str,
    owner: &'static str,
    in_force: bool,
    doc: &'static str,
) -> Parameter {
    Parameter { name, default, kind: Kind::Number(range.0, range.1), unit, owner, in_force, doc }
}

const fn prefixes(name: &'static str, in_force: bool, doc: &'static str) -> Parameter {
    Parameter { name, default: "", kind: Kind::Prefixes, unit: "", owner: "control", in_force, doc }
}

const fn numbers(name: &'static str, default: &'static str, doc: &'static str) -> Parameter {
    let (kind, owner) = (Kind::Prefixes, "dataplane");
    Parameter { name, default, kind, unit: "", owner, in_force: NOW, doc }
}

const fn dear(name: &'static str, default: &'static str, doc: &'static str) -> Parameter {
    Parameter { default, ..prefixes(name, NOW, doc) }
}

const fn name(
    name: &'static str,
    default: &'static str,
    owner: &'static str,
    in_force: bool,
    doc: &'static str,
) -> Parameter {
    Parameter { name, default, kind: Kind::Name, unit: "", owner, in_force, doc }
}

const fn keys(
    name: &'static str,
    default: &'static str,
    owner: &'static str,
    doc: &'static str,
) -> Parameter {
    Parameter { name, default, kind: Kind::Keys, unit: "", owner, in_force: NOW, doc }
}

const fn driver(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Parameter {
    Parameter { name, default, kind, unit: "", owner: "driver", in_force: NOW, doc }
}

const fn sets(name: &'static str, doc: &'static str) -> Parameter {
    let (kind, owner) = (Kind::Sets, "control, dataplane");
    Parameter { name, default: "", kind, unit: "", owner, in_force: NOW, doc }
}

const fn field(
    name: &'static str,
    default: &'static str,
    range: &'static str,
    unit: &'static str,
    owner: &'static str,
    in_force: bool,
    doc: &'static str,
) -> Parameter {
    Parameter { name, default, kind: Kind::Field(range), unit, owner, in_force, doc }
}

const NOW: bool = true;
const LATER: bool = false;
const SWITCH: (u64, u64) = (0, 1);
const DAY_S: (u64, u64) = (0, 86_400);
const COUNT: (u64, u64) = (0, 1_000_000);
const U32: &str = "0-4294967295";
const PREFIXES: &str = "prefixes, separated by commas";

/// The catalog.
#[rustfmt::skip]
pub const CATALOG: &[Parameter] = &[
    number("SERVER_BILLING_RECORD_ILLEGAL_CALL", "1", SWITCH, "", "control", NOW, "1: a CDR for each INVITE of nobody we know; 0: none"),
    number("SERVER_BILLING_RECORD_ZERO_HOLD_TIME", "1", SWITCH, "", "control", NOW, "0: no CDR for unanswered calls; they still count in limits and reports"),
    number("SERVER_BILLING_RECORD_SERVER_HANG_UP", "1", SWITCH, "", "control", LATER, "1: calls that we ended carry their own reason; 0: that of any other end"),
    number("SERVER_LOGIN_FAILED_DISABLE_TIME", "300", DAY_S, "s", "api", LATER, "how long a management login stays locked; 0: never locked"),
    number("SERVER_PASSWORD_LENGTH", "8", (6, 32), "characters", "api", LATER, "shortest management password"),
    number("SERVER_VERIFY_CLEARING_CUSTOMER", "0", SWITCH, "", "control", LATER, "1: vendors without credit are excluded too; 0: they are not asked"),
    number("SERVER_GATEWAY_ROUTE_BILATERAL_RECONCILIATION_LINE", "0", COUNT, "", "control", LATER, "deviation at which reconciliation raises an alarm; 0: off"),
    number("SERVER_GATEWAY_BILATERAL_RECONCILIATION_PERIOD", "86400", DAY_S, "s", "control", LATER, "how often accounts are compared; 0: never"),
    prefixes("BILLING_FREE_E164S", NOW, "callee prefixes that cost the customer nothing"),
    prefixes("BILLING_NO_CDR_E164S", NOW, "callee prefixes without a CDR, unless something was charged"),
    prefixes("TG_RECORDING_NUMBERS", NOW, "caller or callee prefixes, as billed, whose answered calls are written to disk as stereo WAV"),
    number("FEE_PRECISION", "6", (0, 6), "decimals", "control", NOW, "decimals of a fee, where the tariff does not say; 0: whole units"),
    number("SERVER_BILLING_FEE_UNIT", "0", COUNT, "", "control", LATER, "smallest unit a fee rounds up to; 0: by precision"),
    number("HOLD_TIME_PRECISION", "50", (0, 1000), "ms", "control", NOW, "a rest of the duration from here on counts as a second; 0: any rest, 1000: none"),
    number("PREVENT_OVERDRAFT_ADVANCE_TIME", "0", (0, 60), "min", "control", NOW, "minutes the balance must cover before a call; 0: the first increment"),
    number("FREE_TIME", "0", (0, 3600), "s", "control", NOW, "seconds taken off the customer's call before rating; 0: none"),
    number("SS_AUTHCHALLENGEMODE", "3", (1, 3), "", "control", NOW, "1: 401; 2: 407; 3: 401 for REGISTER, 407 for the rest, each with both headers"),
    number("SS_ENDPOINTREGISTERSUSPEND", "1", SWITCH, "", "control", NOW, "1: repeated wrong digests suspend the endpoint for that source; 0: never"),
    number("SS_ENDPOINTREGISTERRETRY", "6", (1, 100), "failures", "control", NOW, "consecutive failures that suspend"),
    number("SS_ENDPOINTREGISTERSUSPENDTIME", "180", (60, 86_400), "s", "control", NOW, "how long a suspension lasts"),
    number("SS_AUTHENTICATION_MAX_RETRY", "0", (0, 100), "attempts", "control", NOW, "attempts of one source before it is suspended; 0: no limit"),
    number("SS_AUTHENTICATION_FAILED_SUSPEND", "3600", DAY_S, "s", "control", NOW, "how long that source is suspended; 0: not at all"),
    number("SS_REG_FAIL_BLACKLIST_COUNT", "5", (0, 1000), "endpoints", "control", NOW, "distinct endpoints failing in 600 s that deny a source; 0: never"),
    number("SS_REG_FAIL_BLACKLIST_TIME", "3600", DAY_S, "s", "control", NOW, "how long that source is denied; 0: not at all"),
    number("TG_SUSPEND_WINDOW", "600", (60, 86_400), "s", "control", NOW, "failures, endpoints and invalid calls older than this do not count"),
    number("TG_SUSPEND_ENDPOINT_COUNT", "30", (0, 1000), "failures", "control", NOW, "failures of one endpoint from all sources that shut out every source but that of its valid binding; 0: never"),
    number("TG_SUSPEND_ACCOUNT_TIME", "1800", (60, 86_400), "s", "control", NOW, "how long SS_CALLAUTH_INVALID_COUNT locks an account for a source"),
    number("TG_SUSPEND_LONGEST", "86400", (60, 31_536_000), "s", "control", NOW, "each suspension within a day of the last is twice as long, up to this"),
    dear("TG_ABUSE_PREFIXES", "870,878,881,882,883,888,979", "callee prefixes whose calls are counted by account: satellites, international networks and premium rate (ITU-T, list of E.164 assigned country codes); empty: none"),
    number("TG_ABUSE_LIMIT", "20", COUNT, "calls", "control", NOW, "more calls of an account to TG_ABUSE_PREFIXES within TG_ABUSE_WINDOW list it; 0: none does"),
    number("TG_ABUSE_WINDOW", "3600", (60, 86_400), "s", "control", NOW, "the window in which they are counted"),
    number("TG_ABUSE_FACTOR", "3", (0, 1000), "times", "control", NOW, "and they are more than so many times what is usual: the mean of the last seven days' busiest windows; 0: the limit alone decides"),
    number("TG_ABUSE_TIME", "86400", (60, 31_536_000), "s", "control", NOW, "how long an account stays listed"),
    number("TG_ABUSE_REFUSE", "0", SWITCH, "", "control", NOW, "1: calls of a listed account to TG_ABUSE_PREFIXES are refused, that which listed it included; 0: an alarm alone"),
    number("SS_SIP_DYNAMIC_BLACKLIST_EXPIRE", "3600", DAY_S, "s", "control", LATER, "life of a dynamic entry without an own one; 0: until removed"),
    number("TG_FENCE_MODE", "0", (0, 2), "", "control, dataplane", NOW, "where nobody has a fence of his own: 0: no address is checked; 1: those inside TG_FENCE_SETS do not pass; 2: those alone do"),
    sets("TG_FENCE_SETS", "the geo sets that TG_FENCE_MODE means"),
    number("SS_ACCESS_IP_CHECK", "0", SWITCH, "", "control", NOW, "1: an account may be used from its access addresses only; 0: from anywhere"),
    number("SS_REPLY_UNAUTHORIZED", "1", SWITCH, "", "control", NOW, "0: a stranger's request gets no answer at all"),
    number("SS_CALLAUTH_INVALID_COUNT", "0", (0, 1000), "calls", "control", NOW, "invalid calls that lock an account for a source; 0: off"),
    number("SS_MAX_LOGIN_FAILED", "5", (1, 100), "failures", "api", LATER, "failed management logins before the lock"),
    number("SS_LOGIN_LOCK_TIME", "30", (0, 1440), "min", "api", LATER, "length of that lock; 0: no lock"),
    number("SS_MAXCONCURRENTCALL", "0", COUNT, "calls", "control", NOW, "most calls of one account at a time; 0: no limit"),
    number("SS_CALLERALLOWLENGTH", "0", (0, 32), "characters", "control", NOW, "longest caller number, as it counts; 0: no limit"),
    number("SS_CLIENT_LOW_BALANCE_ALARM", "0", COUNT, "money", "control", LATER, "balance under which an alarm is raised; 0: off"),
    number("SS_ENABLE_CALL_LIMIT", "1", SWITCH, "", "control", NOW, "1: longest calls of gateways hold; 0: they do not"),
    number("SS_BLACK_LIST_CALLER_MALICIOUS_CALL", "0", SWITCH, "", "control", LATER, "1: callers over the limit are listed; 0: nobody is"),
    number("SS_BLACK_LIST_CALLER_MALICIOUS_CALL_LIMIT", "1000", COUNT, "calls", "control", LATER, "calls of one caller within the interval; 0: no limit"),
    number("SS_BLACK_LIST_CALLER_MALICIOUS_CALL_EXPIRE", "3600", DAY_S, "s", "control", LATER, "life of such an entry; 0: as SS_SIP_DYNAMIC_BLACKLIST_EXPIRE"),
    number("SS_BLACK_LIST_CALLER_MALICIOUS_CALL_CHECK_INTERVAL", "60", (1, 86_400), "s", "control", LATER, "the interval in which calls of one caller are counted"),
    number("SS_BLACK_LIST_MALICIOUS_CALL_LIMIT", "0", COUNT, "calls", "control", LATER, "calls to one callee within its interval; 0: off"),
    number("SS_BLACK_LIST_MALICIOUS_CALL_EXPIRE", "3600", DAY_S, "s", "control", LATER, "life of such an entry; 0: as SS_SIP_DYNAMIC_BLACKLIST_EXPIRE"),
    number("SS_BLACK_LIST_MALICIOUS_CALL_CHECK_INTERVAL", "60", (1, 86_400), "s", "control", LATER, "the interval in which calls to one callee are counted"),
    number("SS_BLACK_LIST_DYNAMIC_RUN_MODE", "0", SWITCH, "", "control", LATER, "0: one list for all gateways; 1: one each"),
    number("SS_BLACK_LIST_CALLER_CONCURRENT", "0", COUNT, "calls", "control", LATER, "simultaneous calls of one caller number; 0: no limit"),
    number("SS_BLACK_LIST_NO_ANSWER", "0", SWITCH, "", "control", LATER, "1: callees that never answer are listed; 0: none is"),
    number("SS_BLACK_LIST_NO_ANSWER_LIMIT", "100", COUNT, "calls", "control", LATER, "unanswered calls in a row; 0: no limit"),
    number("SS_BLACK_LIST_NO_ANSWER_EXPIRE", "3600", DAY_S, "s", "control", LATER, "life of such an entry; 0: as SS_SIP_DYNAMIC_BLACKLIST_EXPIRE"),
    number("SS_SIP_SESSION_TIMER", "1800", DAY_S, "s", "dataplane", NOW, "session expiry; 0: none"),
    number("SS_SIP_INVITE_TIMEOUT", "30000", (1000, 120_000), "ms", "dataplane", NOW, "INVITE to the first 18x, then the next vendor"),
    number("SS_SIP_NAT_KEEP_ALIVE", "30", (0, 3600), "s", "control", NOW, "between keep-alives to a contact behind NAT; 0: none are sent"),
    number("SS_TCP_CLOSE_RESET", "0", SWITCH, "", "dataplane", NOW, "1: SIP over TCP closes with RST, once the peer has all; 0: with FIN"),
    number("SS_SIP_REGISTRATION_LIGHTWEIGHT", "0", SWITCH, "", "control", NOW, "1: two refreshes of three spare the store; 0: each is written"),
    number("SS_GATEWAY_ASR_CALCULATE", "0", SWITCH, "", "control", LATER, "1: gateways with a low ASR are demoted; 0: they are not"),
    number("SS_GATEWAY_ASR_RESERVE_TIME", "3600", (1, 86_400), "s", "control", LATER, "window of the ASR"),
    number("SS_GATEWAY_ASR_RESERVE_SEPARATE", "60", (1, 86_400), "s", "control", LATER, "slices of the ASR window"),
    number("SS_GATEWAY_QUALITY_CALCULATE", "0", SWITCH, "", "control", LATER, "1: quality is part of the order; 0: it is not"),
    number("SS_GATEWAY_QUALITY_RESERVE_SEPARATE", "60", (1, 86_400), "s", "control", LATER, "slices of the quality window"),
    number("SS_GATEWAY_QUALITY_RESERVE_TIME", "3600", (1, 86_400), "s", "control", LATER, "length of the quality window"),
    number("SS_GATEWAY_SWITCH_LIMIT", "4", (0, 100), "changes", "control", NOW, "changes of vendor in one call, 7 at most; 0: no failover"),
    number("SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START", "1", SWITCH, "", "dataplane", NOW, "1: no failover once media flowed; 0: until the answer"),
    number("SS_QOS_SIGNAL", "24", (0, 63), "DSCP", "dataplane", NOW, "mark of SIP; 0: best effort"),
    number("SS_QOS_RTP", "46", (0, 63), "DSCP", "dataplane", NOW, "mark of RTP; 0: best effort"),
    number("TG_MEDIA_PORT_QUARANTINE", "5", (0, 3_600), "s", "dataplane", NOW, "how long a pair of media ports rests after a call, so that its late packets reach nobody else; 0: not at all"),
    number("TG_MEDIA_SETTLED", "1", SWITCH, "", "dataplane", NOW, "1: media that needs nothing but new addresses is sent on in the driver; 0: by the workers"),
    number("SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY", "0", (0, 60_000), "ms", "dataplane", NOW, "wait before our own ringback; 0: none"),
    number("EXPIRE", "3600", (60, 86_400), "s", "control", NOW, "life of our registrations at vendors"),
    number("RETRY_DELAY", "60", (1, 86_400), "s", "control", NOW, "wait after a failed registration, a tenth more or less"),
    number("SEND_UNREGISTER", "1", SWITCH, "", "control", NOW, "1: un-REGISTER when the gateway is removed; 0: let it expire"),
    number("TG_OPTIONS_CHECK_INTERVAL", "30", (5, 3600), "s", "control", NOW, "one OPTIONS to each gateway that is probed in so long"),
    number("TG_OPTIONS_CHECK_FAILURES", "3", (1, 100), "OPTIONS", "control", NOW, "so many in a row without an answer, and a gateway is offline"),
    number("TG_OPTIONS_CHECK_SUCCESSES", "2", (1, 100), "OPTIONS", "control", NOW, "so many in a row answered, and it is online again"),
    number("TG_FIRST_RESPONSE_TIMEOUT", "4000", (500, 32_000), "ms", "dataplane", NOW, "INVITE to any 1xx, then the next vendor"),
    number("TG_SEARCH_BUDGET", "12000", (1000, 120_000), "ms", "dataplane", NOW, "all attempts together to the first 18x"),
    number("TG_RING_TIMEOUT", "90000", (5000, 600_000), "ms", "dataplane", NOW, "first 18x to the answer, then 480"),
    number("TG_COMMIT_WAIT", "200", (0, 5000), "ms", "dataplane", NOW, "how long an answer waits for its start record; 0: not at all"),
    number("TG_ADMIT_WAIT", "2000", (100, 10_000), "ms", "dataplane", NOW, "how long an INVITE waits for a decision, then 503"),
    number("TG_RTP_TIMEOUT", "60", DAY_S, "s", "dataplane", NOW, "silence on both sides that ends a call, or has its sides asked whether they are there if it is on hold; 0: never"),
    number("TG_LATCH_WINDOW", "10", (1, 120), "s", "dataplane", NOW, "after an SDP, how long an address may be learned"),
    number("TG_RETRY_AFTER", "5", (1, 3600), "s", "dataplane", NOW, "Retry-After of our own 503"),
    numbers("TG_EMERGENCY_NUMBERS", "112,911", "numbers that are called whatever the load, as they are dialled"),
    keys("TG_TRANSFER_BLIND_KEY", "", "dataplane", "pressed in a call: then the target's number and #, and the call is handed over; empty: none"),
    keys("TG_TRANSFER_ATTENDED_KEY", "", "dataplane", "the same, but the two speak first; empty: none"),
    keys("TG_TRANSFER_CANCEL_KEY", "**", "dataplane", "back to the first call; empty: none"),
    keys("TG_TRANSFER_END_KEY", "*#", "dataplane", "leaves the other two alone with each other, as hanging up does; empty: none"),
    number("TG_TRANSFER_WAIT", "10", (1, 120), "s", "dataplane", NOW, "wait for the target's number, then back to the first call"),
    number("TG_TRANSFER_PAUSE", "4", (1, 30), "s", "dataplane", NOW, "a pause that ends the number, as # does"),
    number("TG_TRANSFER_RINGBACK", "0", SWITCH, "", "dataplane", NOW, "1: who waits for the target hears its early media; 0: nothing"),
    number("TG_TRANSFER_DISPLAY", "0", (0, 2), "", "control", NOW, "whose number the target sees; 0: who transfers, 1: who is transferred, 2: TG_TRANSFER_DISPLAY_TEXT"),
    name("TG_TRANSFER_DISPLAY_TEXT", "", "dataplane", NOW, "the number that targets see with TG_TRANSFER_DISPLAY=2; empty: who transfers"),
    keys("TG_PICKUP_CODE", "", "control", "dialled by a phone, alone or with a number: it answers what rings there; empty: none"),
    number("TG_PICKUP_POSITION", "0", SWITCH, "", "control", NOW, "where the code stands; 0: before the number, 1: behind it"),
    number("TG_SESSION_TIMER_MIN", "90", (90, 86_400), "s", "dataplane", NOW, "shortest session expiry that is taken (RFC 4028); shorter ones get 422"),
    number("TG_DIGEST_SHA256", "0", (0, 1), "", "dataplane", NOW, "0: challenges ask for MD5, which every phone knows; 1: they offer SHA-256 first (RFC 8760), and phones that stumble over it, like baresip, sipsak and SIPp, cannot register or call"),
    number("TG_NONCE_AGE", "300", (10, 3600), "s", "dataplane", NOW, "how long a nonce of ours is good"),
    number("TG_SIP_PASSWORD_LENGTH", "12", (4, 62), "characters", "control", NOW, "shortest password of a phone or mapping gateway"),
    number("TG_REG_EXPIRES_MIN", "60", (10, 3600), "s", "control", NOW, "shortest life of a registration; who asks for less gets 423"),
    number("TG_REG_EXPIRES_MAX", "3600", (60, 86_400), "s", "control", NOW, "longest life of a registration; who asks for more gets this"),
    number("TG_REG_EXPIRES", "3600", (60, 86_400), "s", "control", NOW, "life of a registration that asks for none"),
    number("TG_REGISTRATIONS_MAX", "100000", (1, 1_000_000), "contacts", "control", NOW, "contacts of all phones; beyond, new ones get 503"),
    number("TG_NAT_KEEP_ALIVE_METHOD", "0", SWITCH, "", "control", NOW, "what keeps a way through NAT open; 0: two line ends, 1: OPTIONS"),
    name("TG_SIP_REALM", "tollgate", "dataplane", NOW, "realm of our challenges; stored passwords belong to it"),
    name("TG_SIP_DOMAIN", "", "dataplane", NOW, "our domain in URIs, for gateways that say so; empty: our addresses"),
    number("TG_SIP_TCP_ABOVE", "0", (0, 65_535), "bytes", "dataplane", NOW, "a longer request to a vendor over UDP goes by TCP, and by UDP if nobody is there (RFC 3261 18.1.1 wants 1300); 0: never"),
    number("TG_STREAM_IDLE", "3600", DAY_S, "s", "dataplane", NOW, "a connection without a message or keep-alive for so long is closed; 0: never"),
    number("TG_STREAM_PATIENCE", "10", (1, 120), "s", "dataplane", NOW, "how long connecting, a handshake, a stranger's first message, the rest of a message, or a peer that does not read or acknowledge may take"),
    number("TG_STREAM_PROBE", "120", (0, 32_767), "s", "dataplane", NOW, "the peer of a connection that is silent for so long is asked by the kernel whether it is there, and has TG_STREAM_PATIENCE to answer; holds for new connections; 0: never"),
    number("TG_STREAMS_PER_SOURCE", "100", COUNT, "connections", "dataplane", NOW, "connections of one source that were not served yet: nothing registered, no call that rang; all of one source are half of TG_STREAMS at most; 0: no limit of either kind"),
    number("TG_STREAMS", "10000", COUNT, "connections", "dataplane", NOW, "connections in all; half of them at most are of strangers, and an eighth is kept for those that we open; 0: no limit"),
    number("TG_ILLEGAL_FLOOD", "50", (1, 1_000_000), "calls/s", "control", NOW, "more illegal calls than this get one record per source and minute"),
    number("TG_ILLEGAL_CALM", "10", (1, 1_000_000), "calls/s", "control", NOW, "fewer are calm"),
    number("TG_ILLEGAL_CALM_TIME", "60", (1, 3600), "s", "control", NOW, "so long it must be calm until each has a record again"),
    driver("TG_STRANGER_OPTIONS", "10/s burst 20", Kind::Rate, "OPTIONS of one stranger (who is neither a gateway, nor on the trust list, nor registered)"),
    driver("TG_STRANGER_REGISTER", "5/s burst 20", Kind::Rate, "REGISTER of one stranger"),
    driver("TG_STRANGER_INVITE", "5/s burst 20", Kind::Rate, "INVITEs of one stranger"),
    driver("TG_STRANGER_OTHER", "50/s burst 100", Kind::Rate, "all other SIP of one stranger: other methods and spellings, answers, keep-alives"),
    driver("TG_STRANGER_SYN", "10/s burst 20", Kind::Rate, "new TCP connections of one stranger"),
    driver("TG_STRANGER_FRAGMENT", "20/s burst 40", Kind::Rate, "IP fragments of one stranger"),
    driver("TG_STRANGER_ANY", "off", Kind::Rate, "all SIP of one stranger together, whatever it is; what this refuses spends no other budget"),
    driver("TG_NETWORK_OPTIONS", "40/s burst 80", Kind::Rate, "OPTIONS of all strangers of a /24 or /64"),
    driver("TG_NETWORK_REGISTER", "20/s burst 80", Kind::Rate, "REGISTER of all strangers of a /24 or /64"),
    driver("TG_NETWORK_INVITE", "20/s burst 80", Kind::Rate, "INVITEs of all strangers of a /24 or /64"),
    driver("TG_NETWORK_OTHER", "200/s burst 400", Kind::Rate, "all other SIP of all strangers of a /24 or /64"),
    driver("TG_NETWORK_SYN", "40/s burst 80", Kind::Rate, "new TCP connections of all strangers of a /24 or /64"),
    driver("TG_NETWORK_FRAGMENT", "80/s burst 160", Kind::Rate, "IP fragments of all strangers of a /24 or /64"),
    driver("TG_CROWD_OPTIONS", "2000/s burst 2000", Kind::Rate, "OPTIONS of all strangers together"),
    driver("TG_CROWD_REGISTER", "2000/s burst 2000", Kind::Rate, "REGISTER of all strangers together"),
    driver("TG_CROWD_INVITE", "1000/s burst 1000", Kind::Rate, "INVITEs of all strangers together"),
    driver("TG_CROWD_OTHER", "5000/s burst 5000", Kind::Rate, "all other SIP of all strangers together"),
    driver("TG_CROWD_SYN", "2000/s burst 2000", Kind::Rate, "new TCP connections of all strangers together"),
    driver("TG_CROWD_FRAGMENT", "1000/s burst 1000", Kind::Rate, "IP fragments of all strangers together"),
    number("TG_REGULAR_LEAST", "100", COUNT, "packets", "driver", NOW, "in a minute of each kind from a source where somebody is registered, or was within seven days; 0 with TG_REGULAR_PER_CONTACT 0: no limit"),
    number("TG_REGULAR_PER_CONTACT", "4", (0, 1000), "packets", "driver", NOW, "the same for each contact that is registered there, if that is more; 0: however many there are, TG_REGULAR_LEAST"),
    number("TG_TRUNK_REST", "2000", COUNT, "packets/s", "driver", NOW, "of one gateway beside new INVITEs, and new INVITEs where no cps_max is agreed; at least twenty times cps_max; 0: no limit"),
    driver("TG_CALL_REST", "10/s burst 20", Kind::Rate, "of one running call of a gateway whose TG_TRUNK_REST is spent: who floods in its name does not keep it from hanging up"),
    number("TG_STRANGER_FLOWS", "10", (0, 14), "flows", "driver", NOW, "ports from which one stranger talks SIP at a time; 0: no limit"),
    number("TG_NETWORK_FLOWS", "30", (0, 30), "flows", "driver", NOW, "the same for all strangers of a /24 or /64; 0: no limit"),
    number("TG_FLOW_IDLE", "60", (1, 3600), "s", "driver", NOW, "so long after its last datagram a flow counts"),
    number("TG_REFUSE_VISIBLY", "0", SWITCH, "", "driver", NOW, "1: UDP to a closed port, and SIP of a stranger with too many flows, is answered with ICMP port unreachable; 0: it meets silence"),
    driver("TG_REFUSALS", "100/s burst 100", Kind::Rate, "such answers to all senders together; beyond, there is silence"),
    driver("TG_SIGNATURES", "friendly-scanner,friendly-request,sipvicious,sipcli,SIPScan,VaxSIPUserAgent,VaxIPUserAgent,sundayddr,SIVuS,smap,iWar,Gulp,pplsip,siparmyknife", Kind::Words, "scanners by the first word of User-Agent or Server, in any case; of strangers alone; the list is of November 2026"),
    number("TG_PORTS_CLOSED", "1", SWITCH, "", "driver", NOW, "1: ports and protocols that are not served are closed; 0: they are left to the kernel"),
    driver("TG_PORTS_TCP", "", Kind::Ports, "TCP ports that are open beside those of SIP"),
    driver("TG_PORTS_UDP", "", Kind::Ports, "UDP ports that are open beside those of SIP and media"),
    driver("TG_PORTS_ADMIN", "22,80,443,8080", Kind::Ports, "TCP ports of administrators; open to all until one trusted network is an administrator's"),
    number("TG_OPTIONS_IN_DRIVER", "0", SWITCH, "", "dataplane", NOW, "1: plain OPTIONS of gateways and of registered sources are answered in the driver while calls can be carried; 0: by a worker"),
    number("TG_ALARM_CPU", "70", (0, 100), "%", "control", NOW, "of all processors' time in a minute raises cpu_busy; 0: never; workers that spin count as busy"),
    number("TG_ALARM_MEDIA_PORTS", "90", (0, 100), "%", "control", NOW, "of a worker's media ports in use or resting raises media_ports_scarce; 0: never"),
    number("TG_ALARM_DISK", "80", (0, 100), "%", "control", NOW, "of the state's disk in use raises disk_full; 0: never"),
    number("TG_ALARM_AUTH", "100", (0, 1_000_000), "in a minute", "control", NOW, "logins of one source that failed, or were refused because it is shut out, raise attack_password; 0: never"),
    number("TG_SSH_FAILURES", "3", (0, 1000), "failures", "control", NOW, "SSH logins of one source within TG_SUSPEND_WINDOW that failed, and the driver drops it; 0: never"),
    number("TG_SSH_BAN_TIME", "3600", (60, 31_536_000), "s", "control", NOW, "how long TG_SSH_FAILURES denies a source"),
    number("TG_FIREWALL_MONITOR", "0", SWITCH, "", "driver", NOW, "1: what the driver's rules would drop is counted and let in; 0: it is dropped"),
    field("mapping.addresses", "", "addresses, prefixes, address:port", "", "gateway mapping", NOW, "whence a customer's signalling is accepted; how he is recognised"),
    field("routing.target", "5060", "address or name, port, sip: or sips: with ;transport=", "port", "gateway routing", NOW, "where INVITEs go and whence answers are accepted; the port unless one is named; a name without one is asked for by NAPTR and SRV"),
    field("gateway.protocol", "sip", "sip, h323", "", "gateway", LATER, "what the gateway speaks"),
    field("mapping.authentication", "ip", "ip, ip_port, password, ip_and_password", "", "gateway mapping", NOW, "how a caller is recognised: by address, and port where one is named; by address and port; by digest; by both"),
    field("mapping.auth_username", "", "text", "", "gateway mapping", NOW, "the digest username that the customer sends"),
    field("mapping.auth_password", "", "text", "", "gateway mapping", NOW, "its password; only hashes of it are kept"),
    field("mapping.caller_from", "from", "from, asserted, preferred, remote_party", "", "gateway mapping", NOW, "which header the caller's number is taken from; From where that is absent"),
    field("phone.number", "", "number", "", "phone", NOW, "the caller that others see; empty: as the phone says it"),
    field("phone.numbers", "", "numbers", "", "phone", NOW, "calls to them ring the phone, as calls to its name do"),
    field("phone.password", "", "text", "", "phone", NOW, "what it proves itself with; only hashes of it are kept"),
    field("phone.lines_max", "0", U32, "calls", "phone", NOW, "most calls at a time, both ways; 0: no limit"),
    field("phone.talk_s_max", "0", U32, "s", "phone", NOW, "longest call; 0: no limit"),
    field("phone.ring", "newest", "newest, all", "", "phone", NOW, "which of its bindings ring: the newest, or all at once"),
    field("phone.contacts_max", "4", "1-8", "contacts", "phone", NOW, "bindings at a time; one more takes the place of the oldest"),
    field("phone.offline_gateway", "", "name", "", "phone", NOW, "routing gateway for calls to it while it is offline; empty: none"),
    field("phone.fall_through", "false", "true, false", "", "phone", NOW, "true: routing gateways follow where the phone takes no call; false: 480"),
    field("phone.message", "false", "true, false", "", "phone", NOW, "true: MESSAGE is passed on inside its calls; false: it is refused"),
    field("phone.session_timer", "false", "true, false", "", "phone", NOW, "true: session timers (RFC 4028) are offered; false: they are only answered"),
    field("phone.rel100", "off", "off, supported, required", "", "phone", NOW, "reliable provisional responses (RFC 3262)"),
    field("phone.publish", "false", "true, false", "", "phone", NOW, "true: PUBLISH of it is accepted; false: it is not"),
    field("routing.auth_username", "", "text", "", "gateway routing", NOW, "the digest username that we send"),
    field("routing.auth_password", "", "text", "", "gateway routing", NOW, "its password"),
    field("routing.registration", "false", "true, false", "", "gateway routing", NOW, "true: we register there, and are offline until we are; false: we do not"),
    field("routing.registration_user", "", "text", "", "gateway routing", NOW, "as whom we register; empty: auth_username"),
    field("routing.registration_domain", "", "name", "", "gateway routing", NOW, "in which domain; empty: the host of the target"),
    field("mapping.lines_max", "0", U32, "calls", "gateway mapping", NOW, "most calls at a time; 0: no limit"),
    field("routing.lines_max", "0", U32, "calls", "gateway routing", NOW, "most calls at a time; 0: no limit"),
    field("mapping.cps_max", "0", U32, "calls/s", "gateway mapping", NOW, "most new calls, then 503; 0: no limit"),
    field("routing.cps_max", "0", U32, "calls/s", "gateway routing", NOW, "most new calls, then the next vendor; 0: no limit"),
    field("mapping.talk_s_max", "0", U32, "s", "gateway mapping", NOW, "longest call; 0: no limit"),
    field("routing.talk_s_max", "0", U32, "s", "gateway routing", LATER, "longest call; 0: no limit"),
    field("routing.priority", "1", "1-100", "", "gateway routing", NOW, "lower is tried first"),
    field("gateway.group", "", "name", "", "gateway", LATER, "its group of primary and secondary gateways"),
    field("routing.dynamic_blacklist", "0", "0-1", "", "gateway routing", LATER, "1: a dynamic blacklist of its own; 0: the common one"),
    field("gateway.caller_lists", "", "names", "", "gateway", LATER, "black and white lists for callers"),
    field("gateway.callee_lists", "", "names", "", "gateway", LATER, "black and white lists for callees"),
    field("gateway.caller_prefixes_allowed", "", PREFIXES, "", "gateway", LATER, "callers that may pass; empty: all"),
    field("gateway.caller_prefixes_denied", "", PREFIXES, "", "gateway", LATER, "callers that may not"),
    field("routing.prefixes", "", PREFIXES, "", "gateway routing", NOW, "callees that it serves; an empty prefix: all"),
    field("gateway.callee_prefixes_denied", "", PREFIXES, "", "gateway", LATER, "callees that may not pass"),
    field("gateway.caller_pool", "", "name", "", "gateway", LATER, "pool whose numbers replace the caller; empty: none"),
    field("pool.reuse_max", "0", U32, "calls", "pool", LATER, "uses of one number; 0: no limit"),
    field("pool.calls_per_number_max", "0", U32, "calls", "pool", LATER, "calls of one number at a time; 0: no limit"),
    field("pool.forwarding", "0", "0-1", "", "pool", LATER, "1: the pool serves forwarded calls too; 0: it does not"),
    field("gateway.reconciliation", "0", "0-1", "", "gateway", LATER, "1: accounts are compared with the peer's; 0: they are not"),
    field("gateway.reply_address", "source", "source, via, fixed", "", "gateway", NOW, "whither responses go: where the request came from, what its Via says, or the gateway's own address: of a routing gateway its target, of a mapping gateway the first host among its addresses"),
    field("gateway.request_address", "contact", "contact, source, fixed", "", "gateway", NOW, "whither requests inside a call go: Contact and route set, where its messages come from, or its own address as for reply_address"),
    field("routing.stop_codes", "486,600,603", "up to 8 of 300-699", "", "gateway routing", NOW, "answers after which no other vendor is tried"),
    field("gateway.codecs", "", "up to 16 of PCMU, PCMA, G729, G723, G722, opus, ...", "", "gateway", NOW, "codecs that it is told of and may tell of, the first choice first; empty: all"),
    field("gateway.codecs_order", "own", "own, theirs", "", "gateway", NOW, "whose order an offer to it has: that of its codecs, or the other side's"),
    field("gateway.annexb", "pass", "pass, on, off", "", "gateway", NOW, "annexb of G.729 in SDP: as it came, yes, no; off of either gateway wins"),
    field("gateway.annexa", "pass", "pass, on, off", "", "gateway", NOW, "annexa of G.723 in SDP: as it came, yes, no; off of either gateway wins"),
    field("gateway.session_timer", "false", "true, false", "", "gateway", NOW, "true: session timers (RFC 4028) are offered; false: they are only answered"),
    field("gateway.rel100", "off", "off, supported, required", "", "gateway", NOW, "reliable provisional responses (RFC 3262)"),
    field("gateway.retry_after", "true", "true, false", "", "gateway", NOW, "true: Retry-After is sent and heeded; false: neither"),
    field("gateway.reason", "true", "true, false", "", "gateway", NOW, "true: Reason (RFC 3326) is sent and passed on; false: neither"),
    field("gateway.user_phone", "false", "true, false", "", "gateway", NOW, "true: user=phone in URIs; false: none"),
    field("gateway.publish", "false", "true, false", "", "gateway", NOW, "true: PUBLISH is accepted; false: it is not"),
    field("gateway.local_domain", "false", "true, false", "", "gateway", NOW, "true: our domain in From; false: our address"),
    field("gateway.forward_signal_sent", "none", "none, diversion, history_info", "", "gateway", NOW, "how a diverted call is told"),
    field("gateway.forward_signal_heard", "false", "true, false", "", "gateway", NOW, "true: Diversion and History-Info are believed; false: they are not"),
    field("gateway.privacy", "true", "true, false", "", "gateway", NOW, "true: RFC 3323 is heeded and sent; false: neither"),
    field("gateway.message", "false", "true, false", "", "gateway", NOW, "true: MESSAGE is passed on inside calls; false: it is refused"),
    field("gateway.transfer", "false", "true, false", "", "gateway", NOW, "true: REFER is obeyed; false: it is refused"),
    field("gateway.trusted", "false", "true, false", "", "gateway", NOW, "true: it sees withheld numbers (RFC 3324); false: it does not"),
    field("gateway.identity_sent", "none", "none, asserted, preferred, remote_party", "", "gateway", NOW, "which header tells it the caller besides From"),
    field("gateway.redirects_max", "0", "0-5", "", "gateway", NOW, "3xx of it that are followed in a row; 0: a 3xx is a failure"),
    field("gateway.options_check", "false", "true, false", "", "gateway routing", NOW, "true: probed by OPTIONS, offline while it does not answer; false: it is not"),
    field("routing.tls_verify", "file", "file, yes, no", "", "gateway routing", NOW, "whether it must prove over TLS who it is; file: as tls_verify says of all"),
    field("gateway.ptime", "0", "0, 5-200", "ms", "gateway", NOW, "ptime and maxptime that it is told, and the other side if that has none; 0: as they came"),
    field("gateway.t38", "true", "true, false", "", "gateway", NOW, "true: fax in UDP (T.38) is relayed; false: it is refused"),
    field("gateway.dtmf_inband", "false", "true, false", "", "gateway", NOW, "true: keys are heard in the tones of its G.711, where it describes no telephone events; false: they are not"),
    field("gateway.telephone_event", "true", "true, false", "", "gateway", NOW, "true: telephone events (RFC 4733) pass; false: they are left out of SDP"),
    field("gateway.media_proxy", "on", "on, off, auto, must", "", "gateway", NOW, "whether media go through the switch; off and auto on both sides: from end to end"),
    field("gateway.nat_media", "auto", "auto, sdp, latch", "", "gateway", NOW, "where its media come from: SDP's public address and the port observed, what SDP says, or what is observed"),
    field("gateway.srtp", "off", "off, optional, required", "", "gateway", NOW, "whether its media are under keys from SDP (SRTP): never, if it likes, always; what it says otherwise is refused by 488"),
    field("gateway.transcode", "false", "true, false", "", "gateway", NOW, "true: speech is transcoded in calls from and to it whose other side shares no codec with it, as far as media.transcoded_max allows"),
    field("gateway.headers_added", "", "lines like X-Carrier: 7", "", "gateway", NOW, "headers added to its INVITEs"),
    field("gateway.headers_all_passed", "false", "true, false", "", "gateway", NOW, "true: all unknown headers are passed on to it; false: those named are"),
    field("gateway.headers_passed", "", "header names", "", "gateway", NOW, "headers that are passed on to it"),
    field("gateway.failure_map", "", "up to 16 of from=to", "", "gateway", NOW, "failures that are told otherwise to the customer"),
    field("gateway.ringback_mode", "pass", "pass, 180, 183", "", "gateway", NOW, "how the far end's ringing reaches callers"),
    field("gateway.recording", "off", "off, wav, pcap, both", "", "gateway", NOW, "how answered calls that come or go by it are written to disk: both sides in a stereo WAV file, their packets, or both"),
    field("account.recording", "off", "off, wav, pcap, both", "", "account", NOW, "the same for the calls of an account"),
    field("account.access_addresses", "", "addresses, prefixes", "", "account", NOW, "whence the account may be used while SS_ACCESS_IP_CHECK is 1; empty: from anywhere"),
    field("account.prefixes_mode", "", "allow, deny", "", "account", LATER, "what the account's prefixes mean"),
    field("account.prefixes", "", PREFIXES, "", "account", LATER, "callees that it may, or may not, call"),
    field("account.international_blocked", "0", "0-1", "", "account", LATER, "1: no international calls; 0: all"),
    field("account.premium_blocked", "0", "0-1", "", "account", LATER, "1: no premium rate calls; 0: all"),
    field("account.overdraft_guard", "0", "0-1", "", "account", LATER, "1: calls end before charges pass the advance; 0: by what is reserved"),
    field("account.overdraft_advance", "0", "decimal", "money", "account", LATER, "that advance; 0: none"),
    field("account.alarm_email", "", "address", "", "account", LATER, "who hears of the account's alarms"),
    field("account.alarm_too_long_suppressed", "0", "0-1", "", "account", LATER, "1: no alarm for long calls; 0: one each"),
    field("account.spend_per_day_max", "0", "decimal", "money", "account", LATER, "most that one day may cost; 0: no limit"),
    field("geo.range", "", "address, prefix, or two addresses", "", "geo set", NOW, "a range of it: 192.0.2.0/24, 192.0.2.1, or 192.0.2.1-192.0.2.99"),
    field("geo.addresses", "", "1-18446744073709551615", "addresses", "geo set", NOW, "how many addresses from range on, which is one then"),
    field("geo.source", "", "text", "", "geo set", NOW, "whence its ranges are, for people"),
    field("geo.dated", "", "day like 2026-01-31", "", "geo set", NOW, "of which day they are; its age is shown"),
    field("gateway.fence_mode", "unset", "unset, ignore, forbid, allow", "", "gateway", NOW, "what its fence does with addresses in signalling, SDP and media; unset: as TG_FENCE_MODE"),
    field("gateway.fence_sets", "", "up to 16 names", "", "gateway", NOW, "the geo sets that its fence means"),
    field("phone.fence_mode", "unset", "unset, ignore, forbid, allow", "", "phone", NOW, "what its fence does with addresses in signalling, SDP and media; unset: as TG_FENCE_MODE"),
    field("phone.fence_sets", "", "up to 16 names", "", "phone", NOW, "the geo sets that its fence means"),
    field("web.access_list", "", "addresses, prefixes", "", "api", LATER, "who may open the web interface; empty: nobody from outside"),
    field("lrn.eaten_digits", "0", "0-32", "digits", "lrn", LATER, "cut off before the dip; 0: none"),
    field("lrn.failure_action", "continue", "continue, refuse", "", "lrn", LATER, "what happens to a call without an answer of the dip"),
    field("lrn.routed_by_number", "0", "0-1", "", "lrn", LATER, "1: routes by the dialled number; 0: by the LRN"),
    field("lrn.interstate_prefix", "", PREFIXES, "", "lrn", LATER, "before the number of an interstate call, for its rate"),
    field("lrn.undetermined_prefix", "", PREFIXES, "", "lrn", LATER, "the same where the states are not known"),
    field("h323.progress_indicator", "0", "0-1", "", "h323", LATER, "1: Q.931 ProgressIndicator is sent; 0: it is not"),
    field("h323.caller_field", "", "field", "", "h323", LATER, "where the caller is read"),
    field("h323.callee_field", "", "field", "", "h323", LATER, "where the callee is read"),
    field("h323.proceeding_at_once", "0", "0-1", "", "h323", LATER, "1: CallProceeding at once; 0: once there is a vendor"),
    field("h323.proceeding_as_trying", "0", "0-1", "", "h323", LATER, "1: CallProceeding becomes Trying; 0: it does not"),
    field("h323.183_as_alerting", "0", "0-1", "", "h323", LATER, "1: a 183 with SDP becomes Alerting; 0: it does not"),
    field("call_state.address", "", "address", "", "call state", LATER, "who is told of call states; empty: nobody"),
    field("call_state.port", "80", "1-65535", "port", "call state", LATER, "his port"),
    field("call_state.retries", "3", "0-100", "attempts", "call state", LATER, "how often a report is repeated; 0: never"),
    field("call_state.retry_interval_ms", "1000", "1-60000", "ms", "call state", LATER, "wait between them"),
    field("phone_service.address", "", "address", "", "phone service", LATER, "where the phone service is; empty: nowhere"),
    field("phone_service.port", "80", "1-65535", "port", "phone service", LATER, "its port"),
    field("phone.pickup_group", "", "names", "", "phone", NOW, "phones of one name pick up each other's calls; empty: none"),
    field("package.begins", "", "time", "", "package", LATER, "since when it holds"),
    field("package.ends", "", "time", "", "package", LATER, "until when; empty: no end"),
    field("package.priority", "1", "1-100", "", "package", LATER, "lower is used first"),
    field("package.free_minutes", "0", U32, "min", "package", LATER, "minutes without a fee; 0: none"),
    field("package.free_amount", "0", "decimal", "money", "package", LATER, "fees that it pays; 0: none"),
    field("package.minimum_consumption", "0", "decimal", "money", "package", LATER, "charged at least; 0: nothing"),
    field("package.rent_percent", "100", "0-100", "%", "package", LATER, "part of the rent for a part of a period; 0: none"),
    field("package.renewal", "", "mode", "", "package", LATER, "what happens at its end"),
    field("package.failed_mode", "", "mode", "", "package", LATER, "what happens when the rent cannot be paid"),
    field("api.tokens", "", "tokens", "", "api", LATER, "who may use the API over TCP; empty: nobody"),
    field("api.addresses_allowed", "", "addresses, prefixes", "", "api", LATER, "whence the API may be used; empty: from this machine"),
    field("api.requests_per_second_max", "0", U32, "requests/s", "api", LATER, "requests of one client; 0: no limit"),
    field("api.session_timeout_s", "1800", "0-86400", "s", "api", LATER, "how long a session may be idle; 0: for ever"),
    field("web.session_timeout_s", "1800", "0-86400", "s", "api", LATER, "the same for the web interface; 0: for ever"),
    field("user.session_timeout_s", "1800", "0-86400", "s", "api", LATER, "the same by role; 0: for ever"),
    field("alarm.call_duration_s", "0", "0-86400", "s", "gateway", LATER, "calls longer than this raise an alarm; 0: none does"),
    field("alarm.failure_percent", "0", "0-100", "%", "gateway", LATER, "a larger part of failed calls raises an alarm; 0: none does"),
    field("alarm.traffic_spike_percent", "0", "0-10000", "%", "gateway", LATER, "more calls than usual by this raise an alarm; 0: none do"),
];

/// Other spellings that are understood.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("FEE_PRECISTION", "FEE_PRECISION"),
    ("SERVER_BILLING_FEE_PRECISION", "FEE_PRECISION"),
    ("SERVER_BILLING_HOLD_TIME_PRECISION", "HOLD_TIME_PRECISION"),
    ("SERVER_BILLING_FREE_TIME", "FREE_TIME"),
    ("SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME", "PREVENT_OVERDRAFT_ADVANCE_TIME"),
    ("PREVENT_OVERDRAFT", "PREVENT_OVERDRAFT_ADVANCE_TIME"),
    ("SS_SIP_REGISTRATION_LIGTHWEIGHT", "SS_SIP_REGISTRATION_LIGHTWEIGHT"),
];
