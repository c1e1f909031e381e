//! The SIP brain: messages, answers and timeouts in; messages and actions out.
