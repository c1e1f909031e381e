//! Whether a peer may do what he asks for: each route says which right it takes, the loop knows the users.

use std::sync::Arc;

use super::agent::Agent;
use super::{Peer, Shared, ask, question};
use crate::Refusal;
use crate::state::entity::Right;

/// Refuses what takes a right that the peer has not. Who owns the daemon is not asked for one. Whom it lets in may be
/// an agent.
pub(super) async fn check(
    shared: &Arc<Shared>,
    peer: &Peer,
    right: Right,
    attempt: &str,
) -> Result<Option<Agent>, Refusal> {
    if peer.is_owner {
        return Ok(None);
    }
    let asked = ask(shared, peer.name.clone(), question(&["access", right.name(), attempt])).await;
    asked.and_then(Agent::read).inspect_err(|refusal| {
        if refusal.status == 403 {
            tracing::warn!(user = peer.name, attempt, "access_refused");
        }
    })
}
