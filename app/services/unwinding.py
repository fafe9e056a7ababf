"""Gives a cancelled session's locks and bonds back and frees its intervals: what anyone may do, and somebody has to."""

from __future__ import annotations

from app.context import Context
from app.services import blocks, sessions
from contracts.encoding import extend_log
from contracts.units import SessionState


def unwind_session(ctx: Context, session_id: int) -> list[str]:
    """Unwinds the order log of a cancelled session from its end, batch by batch; returns what was done. May be called again."""
    view = sessions.view(ctx, session_id)
    if view.state is not SessionState.CANCELLED:
        return []
    done: list[str] = []
    if ctx.client.progress(session_id).under_auction:
        ctx.send("release", "operator", ctx.client.encode_release_auction(session_id), session_id)
        done.append(f"session {session_id}: cancelled, its intervals are free again")
    batches = [[int(word, 16) for word in batch.words] for batch in view.batches]
    hashes = [bytes(32)]
    for words in batches:
        hashes.append(extend_log(hashes[-1], words))
    done += blocks.reclaim(ctx, view)
    held = ctx.client.log(session_id)
    for number in reversed(range(len(batches))):
        if hashes[number + 1] == held:
            call = ctx.client.encode_release_cancelled(session_id, hashes[number], batches[number])
            ctx.send("release", "operator", call, session_id)
            held = hashes[number]
            done.append(f"session {session_id}: cancelled, the locks of batch {number} are released")
    return done
