//! Control: the decision loop and its followers.
