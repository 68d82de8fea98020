//! The host keeps its promises: each question is asked once and held to its deadline, a panic stays
//! where it happens, a replay answers like the machine, and no path leads out of the root folder.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::join_all;
use gldoctor::checks::{self, Severity};
use gldoctor::examination::Examination;
use gldoctor::host::network::Resolve;
use gldoctor::host::request::Request;
use gldoctor::host::system::Now;
use gldoctor::host::{Host, Machine, Question, Recording, Scope, Transcript, Unknown, crash};
use gldoctor::report::{Format, Style};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

/// What the stand-in question does when it is asked.
#[derive(Clone, Copy, Serialize)]
enum Deed {
    Answer,
    Hang,
    HangOnAThread,
    Panic,
    PanicWhileWaited,
}

/// A question that counts how often it is looked at.
#[derive(Serialize)]
struct Counted<'a> {
    name: &'static str,
    deed: Deed,
    #[serde(skip)]
    looks: &'a AtomicU32,
}

impl Question for Counted<'_> {
    type Answer = BTreeMap<String, u64>;

    const KIND: &'static str = "test-counted";

    fn label(&self) -> String {
        format!("counted {}", self.name)
    }

    async fn look(&self, _: &Machine) -> Result<Self::Answer, Unknown> {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
        match self.deed {
            Deed::Answer => Ok(BTreeMap::from([("looks".to_owned(), looks.into())])),
            Deed::Hang => std::future::pending().await,
            Deed::HangOnAThread => {
                let hang = || std::thread::sleep(Duration::from_mins(1));
                tokio::task::spawn_blocking(hang).await.unwrap();
                Ok(BTreeMap::new())
            }
            Deed::Panic => panic!("the password is hunter2"),
            Deed::PanicWhileWaited => {
                let secret = "hunter2 \u{fc}";
                Err(Unknown::Unreadable(secret[..secret.len() - 1].to_owned()))
            }
        }
    }
}

fn live(patience: Duration) -> Host {
    Host::live(Machine::new(Scope::live(), Request::default(), patience))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

#[test]
fn a_question_is_looked_at_once_however_many_ask() {
    let (host, looks) = (live(Duration::from_secs(10)), AtomicU32::new(0));
    let ask = |name| host.ask(Counted { name, deed: Deed::Answer, looks: &looks });
    let answers = block_on(async {
        let mut answers = join_all((0..100).map(|_| ask("a"))).await;
        answers.push(ask("a").await);
        answers
    });
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap()["looks"] == 1));
    assert_eq!(looks.load(Ordering::SeqCst), 1);
    block_on(ask("b")).unwrap();
    assert_eq!(looks.load(Ordering::SeqCst), 2, "another field is another question");
}

#[test]
fn who_stops_waiting_takes_the_answer_from_nobody() {
    let (host, looks) = (live(Duration::from_secs(10)), AtomicU32::new(0));
    let ask = || host.ask(Counted { name: "a", deed: Deed::Answer, looks: &looks });
    let answer = block_on(async {
        assert!(ask().now_or_never().is_none(), "the first to ask leaves in the middle");
        ask().await
    });
    assert!(answer.is_ok());
}

#[test]
fn a_failed_look_is_not_tried_again_for_the_next_who_asks() {
    let (host, looks) = (live(Duration::from_millis(30)), AtomicU32::new(0));
    let ask = || host.ask(Counted { name: "a", deed: Deed::Hang, looks: &looks });
    for _ in 0..3 {
        assert_eq!(block_on(ask()), Err(Unknown::TimedOut(0)));
    }
    assert_eq!(looks.load(Ordering::SeqCst), 1);
}

#[test]
fn a_deadline_ends_a_look_whatever_it_hangs_on() {
    let looks = AtomicU32::new(0);
    for deed in [Deed::Hang, Deed::HangOnAThread] {
        let host = live(Duration::from_millis(1100));
        let started = Instant::now();
        let answer = block_on(host.ask(Counted { name: "a", deed, looks: &looks }));
        assert_eq!(answer, Err(Unknown::TimedOut(1)));
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_panic_stays_in_its_look_and_keeps_its_message_to_itself() {
    // Panics of tests that run meanwhile are still shown.
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        crash::note(panic);
        if !panic.to_string().contains("hunter2") {
            shown(panic);
        }
    }));
    let (host, looks) = (live(Duration::from_secs(10)), AtomicU32::new(0));
    for deed in [Deed::Panic, Deed::PanicWhileWaited] {
        let answer = block_on(host.ask(Counted { name: "a", deed, looks: &looks }));
        let Err(Unknown::Crashed(place)) = answer else { panic!("{answer:?}") };
        assert!(place.contains("tests/host.rs:"), "{place}");
    }
    let recording = Recording::of(host.transcript()).to_text();
    assert!(!recording.contains("hunter2"), "{recording}");
    let after = block_on(host.ask(Counted { name: "b", deed: Deed::Answer, looks: &looks }));
    assert!(after.is_ok(), "the host goes on");
}

#[test]
fn a_recorded_host_answers_the_same_and_nothing_else() {
    let (host, looks) = (live(Duration::from_millis(500)), AtomicU32::new(0));
    let ask = |host: &Host, name, deed| block_on(host.ask(Counted { name, deed, looks: &looks }));
    let answer = ask(&host, "a", Deed::Answer);
    let silence = ask(&host, "b", Deed::Hang);
    let text = Recording::of(host.transcript()).to_text();
    let replay = Host::recorded(Recording::parse(text.as_bytes()).unwrap().looks);

    assert!(host.is_live() && !replay.is_live());
    assert_eq!(ask(&replay, "a", Deed::Answer), answer);
    assert_eq!(ask(&replay, "b", Deed::Hang), silence);
    assert_eq!(ask(&replay, "c", Deed::Answer), Err(Unknown::NotRecorded));
    assert_eq!(block_on(replay.ask(Now)), Err(Unknown::NotRecorded));
    assert_eq!(looks.load(Ordering::SeqCst), 2, "a replay looks at nothing");
    assert_eq!(Recording::of(replay.transcript()).to_text(), text);
}

#[test]
fn what_is_known_so_far_can_be_told_without_asking_more() {
    let (host, looks) = (live(Duration::from_secs(10)), AtomicU32::new(0));
    let ask =
        |host: &Host, name| block_on(host.ask(Counted { name, deed: Deed::Answer, looks: &looks }));
    let answer = ask(&host, "a");
    let known = host.as_far_as_known();
    assert!(known.is_live(), "it is still the machine that was looked at");
    assert_eq!(ask(&known, "a"), answer);
    assert_eq!(ask(&known, "b"), Err(Unknown::NotRecorded));
}

#[test]
fn an_answer_of_another_shape_is_unreadable() {
    let transcript: Transcript = serde_json::from_value(json!([
        { "kind": "test-counted", "ask": { "name": "a", "deed": "Answer" },
          "reply": { "answer": [1, 2] } }
    ]))
    .unwrap();
    let looks = AtomicU32::new(0);
    let question = Counted { name: "a", deed: Deed::Answer, looks: &looks };
    let answer = block_on(Host::recorded(transcript).ask(question));
    assert!(matches!(answer, Err(Unknown::Unreadable(_))), "{answer:?}");
}

#[test]
fn a_view_notes_what_it_asked_itself() {
    let (host, looks) = (live(Duration::from_secs(10)), AtomicU32::new(0));
    let (one, other) = (host.view(), host.view());
    let ask = |view: &Host, name| {
        block_on(view.ask(Counted { name, deed: Deed::Answer, looks: &looks })).unwrap();
    };
    ask(&one, "b");
    ask(&one, "a");
    ask(&one, "b");
    ask(&other, "b");
    assert_eq!(one.looked_at(), ["counted a", "counted b"]);
    assert_eq!(other.looked_at(), ["counted b"]);
    assert!(host.looked_at().is_empty());
    assert_eq!(looks.load(Ordering::SeqCst), 2, "the memory is one");
}

#[test]
fn what_the_user_left_out_is_told_as_such_live_and_in_a_replay() {
    let machine = Machine::new(Scope::live(), Request::default(), Duration::from_secs(1));
    let host = Host::live(machine.without_network("no network today"));
    let ask = |host: &Host, name: &str| block_on(host.ask(Resolve { host: name.to_owned() }));
    let left_out = Err(Unknown::LeftOut("no network today".to_owned()));
    assert_eq!(ask(&host, "gitlab.example.com"), left_out);
    assert!(ask(&host, "192.0.2.1").is_ok(), "an address needs no network");
    assert_eq!(ask(&Host::recorded(host.transcript()), "gitlab.example.com"), left_out);
}

#[test]
fn the_spelling_of_a_question_is_pinned() {
    let (host, looks) = (live(Duration::from_secs(1)), AtomicU32::new(0));
    block_on(host.ask(Counted { name: "a", deed: Deed::Answer, looks: &looks })).unwrap();
    let line = r#"{"kind":"test-counted","ask":{"deed":"Answer","name":"a"},"reply":{"answer":{"looks":1}}}"#;
    let text = Recording::of(host.transcript()).to_text();
    assert_eq!(text, format!("{{\"version\":1,\"looks\":[\n{line}\n]}}\n"));
}

/// An empty folder as the root, and an end that comes at once.
#[test]
fn a_run_that_is_cut_short_still_reports() {
    let root = tempfile::tempdir().unwrap();
    let root = camino::Utf8Path::from_path(root.path()).unwrap().to_owned();
    let scope = Scope { root: Some(root), ..Scope::live() };
    let host = Host::live(Machine::new(scope, Request::default(), Duration::from_secs(10)));
    let examination = Examination {
        fail_on: Severity::Notice,
        cut_short: futures::future::ready("enough".to_owned()).boxed(),
        ..Examination::default()
    };
    let report = block_on(examination.of(&host)).unwrap();
    assert!(!report.complete);
    assert_eq!(report.summary.exit_code, 3);
    assert_eq!(report.checks.len(), checks::all().count());
    let json: Value =
        serde_json::from_str(&report.render(Format::Json, &Style::default())).unwrap();
    assert_eq!(json["complete"], false);
    assert!(report.render(Format::Human, &Style::default()).contains("cut short"));
}

/// Any JSON without floats, which answers do not hold.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_reply() -> impl Strategy<Value = Value> {
    let unknown = prop_oneof![
        Just(json!("not-recorded")),
        any::<u64>().prop_map(|seconds| json!({ "timed-out": seconds })),
        (
            prop::sample::select(&["crashed", "cut-short", "denied", "left-out", "unreadable"][..]),
            any::<String>()
        )
            .prop_map(|(kind, why)| json!({ kind: why })),
    ];
    prop_oneof![
        any_json().prop_map(|answer| json!({ "answer": answer })),
        unknown.prop_map(|unknown| json!({ "unknown": unknown })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_recording_survives_its_file_and_its_host(
        looks in prop::collection::btree_map(("[a-z-]{1,8}", any_json().prop_map(|it| it.to_string())),
            any_reply(), 0..8)
    ) {
        let looks: Vec<_> = looks
            .into_iter()
            .map(|((kind, ask), reply)| {
                let ask: Value = serde_json::from_str(&ask).unwrap();
                json!({ "kind": kind, "ask": ask, "reply": reply })
            })
            .collect();
        let text = json!({ "version": 1, "looks": looks }).to_string();
        let recording = Recording::parse(text.as_bytes()).unwrap();
        let again = Recording::parse(recording.to_text().as_bytes()).unwrap();
        prop_assert_eq!(&again, &recording);
        let replayed = Host::recorded(recording.looks.clone()).transcript();
        prop_assert_eq!(replayed, recording.looks);
    }

    #[test]
    fn no_bytes_make_the_reader_of_recordings_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = gldoctor::bundle::open(&bytes);
        let _ = gldoctor::bundle::open(&[&[0x1f, 0x8b, 8, 0][..], &bytes].concat());
    }
}

#[test]
fn one_host_may_be_asked_from_several_threads() {
    let host = live(Duration::from_secs(10));
    let looks = AtomicU32::new(0);
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let question = Counted { name: "a", deed: Deed::Answer, looks: &looks };
                let answer = block_on(host.ask(question)).unwrap();
                answers.lock().unwrap().push(answer);
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    assert!(answers.len() == 4 && answers.iter().all(|answer| *answer == answers[0]));
}
