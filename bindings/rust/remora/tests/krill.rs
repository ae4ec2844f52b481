// SPDX-License-Identifier: Apache-2.0
//! The safe interface on the model in the box.

use remora::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

const BEGIN: &str = "Once upon a time";

fn path() -> String {
    format!("{}/../../../models/krill.remora", env!("CARGO_MANIFEST_DIR"))
}

fn krill() -> Model {
    let rt = Runtime::new(RuntimeOptions::new().threads(1)).unwrap();
    Model::open_with(&Source::path(path()), ModelOptions::new(), Some(&rt)).unwrap()
}

fn begun(m: &Model) -> Session {
    let mut s = Session::with(m, &SessionOptions::new().capacity(256)).unwrap();
    s.append(&m.tokenize(BEGIN, TextFlags::BOS).unwrap(), Want::LAST).unwrap();
    s
}

fn greedy(m: &Model) -> Sampler {
    Sampler::with(m, 0, &[Stage::Temperature(0.0)]).unwrap()
}

#[test]
fn text_and_tokens_are_the_same_generation() {
    let m = krill();
    let (mut s, mut p) = (begun(&m), greedy(&m));
    let mut other = s.fork().unwrap();
    let mut stream = s.generate_text(&mut p, GenOptions::new().max_tokens(6));
    let text = stream.collect_text().unwrap();
    // Case "stop" of the list that all languages run has these tokens.
    assert_eq!(stream.tokens(), [21, 548, 340, 269, 660, 1122]);
    assert_eq!(stream.info().unwrap().reason, Reason::MaxTokens);
    let tokens: Result<Vec<_>> = other.generate(&mut greedy(&m), GenOptions::new().max_tokens(6)).collect();
    assert_eq!(m.detokenize(&tokens.unwrap()).unwrap(), text);
    let text = begun(&m).generate_text(&mut greedy(&m), GenOptions::new().stop("little ")).collect_text();
    assert_eq!(text.unwrap(), ", there was a ");
}

#[test]
fn guesses_change_nothing() {
    let m = Model::open_with(&Source::path(path()), ModelOptions::new().no_prediction(), None).unwrap();
    let mut made = Vec::new();
    for drafts in [Some(0), Some(4), None] {
        let mut s = Session::with(&m, &SessionOptions::new().capacity(256)).unwrap();
        s.append(&m.tokenize("red blue red blue red blue red blue", TextFlags::BOS).unwrap(), Want::LAST)
            .unwrap();
        let o = GenOptions::new().max_tokens(24);
        let o = drafts.map_or(o.clone().auto_drafts(), |n| o.max_drafts(n));
        made.push(s.generate(&mut greedy(&m), o).collect::<Result<Vec<_>>>().unwrap());
        assert!(drafts.map_or(true, |n| (s.stats().unwrap().drafts > 0) == (n > 0)));
    }
    assert!(made[0] == made[1] && made[0] == made[2]);
}

#[test]
fn a_full_session_gives_its_text_and_then_the_error() {
    let m = krill();
    let mut s = Session::with(&m, &SessionOptions::new().capacity(12)).unwrap();
    s.append(&m.tokenize(BEGIN, TextFlags::BOS).unwrap(), Want::LAST).unwrap();
    let all: Vec<_> = s.generate(&mut greedy(&m), GenOptions::new()).collect();
    assert_eq!(all.len(), 8);
    assert!(all[..7].iter().all(|t| t.is_ok()));
    assert_eq!(all[7].as_ref().unwrap_err().kind(), ErrorKind::Full);
}

#[test]
fn probabilities_of_tokens_are_those_of_their_rows() {
    let m = krill();
    let (mut s, mut p, mut q) = (begun(&m), greedy(&m), greedy(&m));
    let mut other = s.fork().unwrap();
    let mut tokens = s.generate(&mut p, GenOptions::new().max_tokens(5).probs(2));
    let made: Vec<_> = tokens.by_ref().map(|t| t.unwrap()).collect();
    let of_tokens: Vec<_> =
        tokens.probs().chunks(3).map(|c| (c[0].token, c[1].token, c[0].logprob)).collect();
    assert_eq!(of_tokens.iter().map(|p| p.0).collect::<Vec<_>>(), made);
    assert!(of_tokens.iter().all(|p| p.0 == p.1 && p.2 <= 0.0));
    let mut text = other.generate_text(&mut q, GenOptions::new().max_tokens(5).probs(2));
    text.collect_text().unwrap();
    let of_text: Vec<_> = text.probs().chunks(3).map(|c| (c[0].token, c[1].token, c[0].logprob)).collect();
    assert_eq!(of_text, of_tokens);
    let e = begun(&m).generate(&mut p, GenOptions::new().probs(u32::MAX)).next().unwrap();
    assert_eq!(e.unwrap_err().kind(), ErrorKind::Arg);
}

#[test]
fn errors_say_why() {
    let e = Model::open("no/such/folder").err().unwrap();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().starts_with("E_NOT_FOUND: ") && e.message().contains("no/such/folder"));
    assert_eq!(Model::open("a\0b").err().unwrap().kind(), ErrorKind::Arg);
    let m = krill();
    let e = begun(&m).append(&[8192], Want::NONE).unwrap_err();
    assert_eq!(e.message(), "token 0 is 8192, the vocabulary has 8192");
}

#[test]
fn a_panic_of_a_callback_goes_on_in_the_caller() {
    let m = krill();
    let mut p = greedy(&m);
    p.add_fn(|_| panic!("stage")).unwrap();
    let picked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| p.pick_from(&[0.0, 1.0])));
    assert_eq!(*picked.unwrap_err().downcast::<&str>().unwrap(), "stage");
    let stop = std::panic::AssertUnwindSafe(|| {
        let o = ModelOptions::new().progress(|_, _| panic!("progress"));
        Model::open_with(&Source::path(path()), o, None).map(drop)
    });
    assert_eq!(*std::panic::catch_unwind(stop).unwrap_err().downcast::<&str>().unwrap(), "progress");
}

#[test]
fn stages_of_the_host_are_freed_once_with_the_last_clone() {
    struct Count(Arc<AtomicU32>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (m, gone) = (krill(), Arc::new(AtomicU32::new(0)));
    let held = Count(gone.clone());
    let mut p = Sampler::new(&m, 1).unwrap();
    p.add_fn(move |c| {
        let _ = &held;
        c.sort_by_key(|t| t.token % 2);
        Some(c.iter().take_while(|t| t.token % 2 == 0).count())
    })
    .unwrap();
    let mut clone = p.try_clone().unwrap();
    assert_eq!(p.pick_from(&[0.0, 9.0, 1.0]).unwrap() % 2, 0);
    drop(p);
    assert_eq!(gone.load(Ordering::SeqCst), 0);
    assert_eq!(clone.pick_from(&[0.0, 9.0, 1.0]).unwrap() % 2, 0);
    drop(clone);
    assert_eq!(gone.load(Ordering::SeqCst), 1);
}

#[test]
fn rows_batches_and_cancel() {
    let m = krill();
    let mut a = begun(&m);
    let mut b = a.fork().unwrap();
    let word = Cancel::new();
    word.set();
    let o = EvalOptions::new().cancel(&word);
    assert_eq!(eval_batch(&mut [&mut a, &mut b], &o).unwrap_err().kind(), ErrorKind::Cancelled);
    word.clear();
    assert_eq!(eval_batch(&mut [&mut a, &mut b], &o).unwrap(), Progress::Done);
    assert_eq!(a.logits(0).unwrap(), b.logits(0).unwrap());
    a.append(&[5], Want::LAST).unwrap();
    let ahead = EvalOptions::new().auto_drafts().ahead();
    assert_eq!(a.eval_with(&ahead).unwrap(), Progress::More);
    assert_eq!(a.eval_with(&EvalOptions::new().max_drafts(2)).unwrap(), Progress::Done);
    assert_eq!(a.eval_with(&ahead).unwrap(), Progress::Done);
    assert_eq!(a.eval_with(&EvalOptions::new().max_drafts(31)).unwrap_err().kind(), ErrorKind::Arg);
    let best = a.top(0, 3).unwrap();
    assert_eq!(greedy(&m).pick(&a, 0).unwrap(), best[0].token);
    assert_eq!(a.logprob(0, best[0].token).unwrap(), best[0].logprob);
    let kept = a.tokens(0).unwrap();
    assert_eq!(b.sync(&kept[..3], Want::NONE).unwrap(), 3);
    b.trim(2).unwrap();
    assert_eq!(b.info().unwrap().committed, 2);
    std::thread::scope(|scope| {
        let look = || a.logits(0).unwrap()[0];
        let there = scope.spawn(look);
        assert_eq!(there.join().unwrap(), look());
    });
}

#[test]
fn constraints_bound_the_text() {
    let m = krill();
    for (grammar, wanted) in [
        (Grammar::Gbnf("root ::= \"yes\""), "yes"),
        (Grammar::Lark("start: \"no\""), "no"),
        (Grammar::Choice(&["red"]), "red"),
        (Grammar::JsonSchema("{\"const\": true}"), "true"),
        (Grammar::Regex("a{3}"), "aaa"),
    ] {
        let mut p = greedy(&m);
        p.constrain(Some(&Constraint::new(&m, grammar).unwrap())).unwrap();
        let text = begun(&m).generate_text(&mut p, GenOptions::new().max_tokens(20)).collect_text();
        assert_eq!(text.unwrap(), wanted);
    }
    assert_eq!(Constraint::new(&m, Grammar::Regex("(")).err().unwrap().kind(), ErrorKind::Arg);
}

#[test]
fn conversations_and_holes() {
    let m = krill();
    let mut c = Chat::with_format(&m, "deepseek-v3.1", "").unwrap();
    c.add(&Turn::new(Role::User, "Where do you live?")).unwrap();
    let prompt = c.prompt(&PromptOptions::new()).unwrap();
    let mut parse = ChatParse::new(&m, &c, &prompt).unwrap();
    let mut events = parse.push(&m.tokenize("Here.", TextFlags::PLAIN).unwrap()).unwrap();
    events.extend(parse.finish(false).unwrap());
    assert_eq!(events, [Event::Content("Here.".into()), Event::End(Finish::Stop)]);
    c.add_json("{\"messages\": [{\"role\": \"assistant\", \"content\": \"Here.\"}]}").unwrap();
    assert_eq!(c.info().unwrap().n_turns, 2);
    let o = PromptOptions::new().schema("{\"const\": true}");
    c.add(&Turn::new(Role::User, "In JSON: is it wet there?")).unwrap();
    let mut s = begun(&m);
    s.sync(&c.prompt(&o).unwrap().tokens, Want::LAST).unwrap();
    let mut p = greedy(&m);
    p.constrain(Some(&c.bounds(&o, &AnswerOptions::new().one_call()).unwrap())).unwrap();
    let answer = s.generate_text(&mut p, GenOptions::new().max_tokens(20)).collect_text().unwrap();
    assert_eq!(answer.trim(), "true");
    let fim = m.fim("int main(void)\n{\n    retu", "\n}\n", &FimOptions::new().heal()).unwrap();
    assert!(!fim.tokens.is_empty() && m.fim_stops().count() > 0);
}

#[test]
fn numbers_and_metadata() {
    let m = krill();
    assert!(abi_fits() && version_number() >> 24 == 1 && !build_info().is_empty());
    let info = m.info().unwrap();
    assert_eq!((info.family.as_str(), info.n_layers, info.n_vocab), ("deepseek_v3", 6, 8192));
    assert!(m.meta_keys().any(|k| k == "config.hidden_size"));
    assert_eq!(m.meta("config.hidden_size").unwrap(), "512");
    assert!(recipes().any(|(name, _)| name == "keep") && chat_formats().count() > 20);
}

struct Counted(Arc<AtomicU64>);

unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(layout.size() as u64, Ordering::SeqCst);
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        self.0.fetch_sub(layout.size() as u64, Ordering::SeqCst);
        System.dealloc(p, layout)
    }
}

#[test]
fn memory_is_the_hosts_and_comes_back() {
    let taken = Arc::new(AtomicU64::new(0));
    let rt = Runtime::new(RuntimeOptions::new().threads(2).allocator(Counted(taken.clone()))).unwrap();
    let m = Model::open_with(&Source::path(path()), ModelOptions::new(), Some(&rt)).unwrap();
    let mut s = begun(&m);
    s.eval().unwrap();
    assert!(taken.load(Ordering::SeqCst) > 1 << 20);
    drop((s, m, rt));
    assert_eq!(taken.load(Ordering::SeqCst), 0);
    struct NoMemory;
    unsafe impl GlobalAlloc for NoMemory {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            panic!("no memory")
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }
    let e = Runtime::new(RuntimeOptions::new().allocator(NoMemory)).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::NoMem);
}

#[test]
fn jobs_of_the_host_give_the_same_rows_whatever_it_does_with_them() {
    let mut right = begun(&krill());
    right.eval().unwrap();
    let runs: [fn(u32, &(dyn Fn(u32) + Sync)); 4] = [
        |n, job| std::thread::scope(|scope| (0..n).for_each(|i| drop(scope.spawn(move || job(i))))),
        |n, job| (0..n + 3).rev().chain(0..n).for_each(job), // too many, and twice
        |_, job| job(0),                                     // too few
        |_, _| panic!("jobs"),
    ];
    for f in runs {
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let o = RuntimeOptions::new().threads(3).jobs(move |n, job| {
            counted.fetch_add(1, Ordering::SeqCst);
            f(n, job)
        });
        let rt = Runtime::new(o).unwrap();
        let m = Model::open_with(&Source::path(path()), ModelOptions::new(), Some(&rt)).unwrap();
        let mut s = begun(&m);
        s.eval().unwrap();
        assert_eq!(s.logits(0).unwrap(), right.logits(0).unwrap());
        assert!(count.load(Ordering::SeqCst) > 0);
    }
}

fn send<T: Send>() {}
fn shared<T: Send + Sync>() {}

/// That a constraint is not shared, and what hooks may not take with them, does not compile: see `Constraint`.
#[test]
fn handles_go_to_other_threads_as_the_header_says() {
    shared::<Runtime>();
    shared::<Model>();
    shared::<Session>();
    shared::<Sampler>();
    shared::<Chat>();
    shared::<ChatParse>();
    shared::<Cancel>();
    shared::<SessionOptions>();
    shared::<Error>();
    send::<Constraint>();
    send::<TextStream<'static>>();
    send::<TokenStream<'static>>();
}
