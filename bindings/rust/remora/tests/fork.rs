// SPDX-License-Identifier: Apache-2.0
//! What the header says of a host's fork(), on the model in the box. It is a program of its own, because no other thread may
//! hold a lock of the allocator at that moment.
#![cfg(unix)]

use remora::*;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Mutex;

extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn alarm(seconds: u32) -> u32;
    fn _exit(code: i32) -> !;
}

/// What a child of fork() answers: 0 is right. It has no other thread, so it neither unwinds nor prints.
fn in_child(work: impl FnOnce() -> i32) -> i32 {
    let mut status = 0;
    unsafe {
        let pid = fork();
        assert!(pid >= 0);
        if pid == 0 {
            alarm(120);
            _exit(work());
        }
        assert_eq!(waitpid(pid, &mut status, 0), pid);
    }
    status
}

/// A stage that stays inside until it may go on.
fn waits(inside: Sender<()>, go: Receiver<()>) -> impl Fn(&mut [TokenProb]) -> Option<usize> + Send + Sync {
    let doors = Mutex::new((inside, go));
    move |candidates| {
        let doors = doors.lock().unwrap();
        let _ = doors.0.send(());
        let _ = doors.1.recv();
        Some(candidates.len())
    }
}

fn begun(m: &Model) -> Session {
    let mut s = Session::with(m, &SessionOptions::new().capacity(64)).unwrap();
    s.append(&m.tokenize("Once upon a time", TextFlags::BOS).unwrap(), Want::LAST).unwrap();
    s
}

fn story(m: &Model, s: &mut Session) -> Result<String> {
    let mut greedy = Sampler::with(m, 0, &[Stage::Temperature(0.0)])?;
    s.generate_text(&mut greedy, GenOptions::new().max_tokens(6)).collect_text()
}

#[test]
fn what_another_thread_used_is_busy_in_a_child_and_all_else_goes_on() {
    let path = format!("{}/../../../models/krill.remora", env!("CARGO_MANIFEST_DIR"));
    let rt = Runtime::new(RuntimeOptions::new().threads(2)).unwrap();
    let m = Model::open_with(&Source::path(path), ModelOptions::new(), Some(&rt)).unwrap();
    let expect = story(&m, &mut begun(&m)).unwrap();
    let (tell_inside, inside) = channel();
    let (go, wait_go) = channel();
    let mut used = begun(&m);
    let mut other = begun(&m);
    // The thread has the session; the child has but its handle.
    let mut handle = ManuallyDrop::new(unsafe { std::ptr::read(&used) });
    let mut p = Sampler::with(&m, 1, &[]).unwrap();
    p.add_fn(waits(tell_inside, wait_go)).unwrap();
    let thread = std::thread::spawn(move || {
        used.generate(&mut p, GenOptions::new().max_tokens(1)).collect::<Result<Vec<_>>>().map(|t| t.len())
    });
    inside.recv().unwrap();
    let code = in_child(|| {
        let kind = |e: Option<Error>| e.map(|e| e.kind());
        if kind(handle.info().err()) != Some(ErrorKind::Busy)
            || kind(handle.eval().err()) != Some(ErrorKind::Busy)
        {
            return 1;
        }
        unsafe { ManuallyDrop::drop(&mut handle) };
        match story(&m, &mut other) {
            Ok(text) if text == expect => 0,
            _ => 2,
        }
    });
    go.send(()).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(1));
    assert_eq!(code, 0);
    assert_eq!(story(&m, &mut begun(&m)).unwrap(), expect);
}
