//! The threads that do the work: one pool a process, a new one after a fork, whose child has none of its parent's threads.

use rayon::ThreadPool;
use std::sync::{Arc, Mutex};

static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// Runs `work` on the pool.
pub fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let pool = {
        let mut slot = POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let process = std::process::id();
        match &*slot {
            Some((owner, pool)) if *owner == process => pool.clone(),
            _ => {
                let pool = Arc::new(rayon::ThreadPoolBuilder::new().build().expect("threads can be started"));
                // The parent's pool cannot be ended here: its threads do not exist in this process.
                if let Some(old) = slot.replace((process, pool.clone())) {
                    std::mem::forget(old);
                }
                pool
            }
        }
    };
    pool.install(work)
}
