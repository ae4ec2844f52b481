// SPDX-License-Identifier: Apache-2.0
//! A host with rules of its own: its memory, its threads, and at most 2 ms in a frame. Two characters are forked from one
//! prompt, whose cache they share, and speak in turns.
//!
//!     cargo run --example host MODEL

use remora::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// The memory of the library, counted.
struct Meter(Arc<AtomicU64>);

unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(layout.size() as u64, Ordering::Relaxed);
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        self.0.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        System.dealloc(p, layout)
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: host MODEL")?;
    let taken = Arc::new(AtomicU64::new(0));
    // A host with a pool of threads gives the numbers to it; this one starts two.
    let jobs = |n: u32, job: &(dyn Fn(u32) + Sync)| {
        std::thread::scope(|scope| {
            for i in 0..n {
                scope.spawn(move || job(i));
            }
        })
    };
    let rt = Runtime::new(RuntimeOptions::new().threads(2).jobs(jobs).allocator(Meter(taken.clone())))?;
    let model = Model::open_with(&Source::path(path), ModelOptions::new(), Some(&rt))?;
    let mut first = Session::with(&model, &SessionOptions::new().capacity(256))?;
    first.append(&model.tokenize("Tom and Mia went to the park.", TextFlags::BOS)?, Want::LAST)?;
    let frame = EvalOptions::new().budget_us(2000);
    let mut frames = 1;
    while first.eval_with(&frame)? != Progress::Done {
        frames += 1; // a frame of the game is drawn here
    }
    let mut second = first.fork()?;
    for (name, session) in [("Tom", &mut first), ("Mia", &mut second)] {
        session.append(&model.tokenize(&format!(" {} said, \"", name), TextFlags::PLAIN)?, Want::LAST)?;
        let mut sampler = Sampler::with(&model, 1, &[Stage::Temperature(0.7)])?;
        let o = GenOptions::new().max_tokens(30).stop("\"");
        println!("{}: {}", name, session.generate_text(&mut sampler, o).collect_text()?);
    }
    println!(
        "{} frames for the prompt, {} kB of the host's memory",
        frames,
        taken.load(Ordering::Relaxed) / 1024
    );
    drop((first, second, model, rt));
    if taken.load(Ordering::Relaxed) != 0 {
        return Err("memory did not come back".into());
    }
    Ok(())
}
