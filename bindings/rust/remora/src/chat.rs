// SPDX-License-Identifier: Apache-2.0
//! Conversations: prompts from turns, and answers read back.

use crate::error::{call, filled, static_text, text_of};
use crate::options::{str_of, text, CName};
use crate::{sys, Constraint, Model, Result, Token};

/// The role of a turn: the one who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Role {
    System = 1,
    User,
    Assistant,
    Tool,
    /// What the model is to keep in mind (DeepSeek from V4 on).
    Reminder,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The id that the turn of its result has as `call_id`; may be empty.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// The arguments as JSON.
    pub arguments: String,
}

/// A turn of a conversation; fields that a role does not use are empty.
#[derive(Clone, Debug)]
pub struct Turn {
    role: Role,
    text: String,
    name: String,
    reasoning: String,
    call_id: String,
    calls: Vec<Call>,
}

impl Turn {
    /// A turn of this role with this text.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        let none = String::new;
        Self { role, text: text.into(), name: none(), reasoning: none(), call_id: none(), calls: Vec::new() }
    }
    /// The name of the speaker, in families whose markers have a name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
    /// The reasoning that preceded an answer.
    pub fn reasoning(mut self, reasoning: impl Into<String>) -> Self {
        self.reasoning = reasoning.into();
        self
    }
    /// The id of the call that this turn is the result of.
    pub fn call_id(mut self, id: impl Into<String>) -> Self {
        self.call_id = id.into();
        self
    }
    /// Add a call to an answer.
    pub fn call(mut self, call: Call) -> Self {
        self.calls.push(call);
        self
    }
}

/// Options of [`Chat::prompt`]; a builder.
#[derive(Clone, Default)]
pub struct PromptOptions {
    raw: sys::remora_prompt_opts,
    tool: String,
    schema: String,
}

impl PromptOptions {
    /// All as the last request of [`Chat::add_json`] says, else the defaults.
    pub fn new() -> Self {
        Self::default()
    }
    /// The prompt ends inside the last turn, an answer that the model goes on with.
    pub fn continue_answer(mut self) -> Self {
        self.raw.flags |= sys::REMORA_PROMPT_CONTINUE;
        self
    }
    /// The prompt ends behind the last turn, without asking for an answer.
    pub fn no_request(mut self) -> Self {
        self.raw.flags |= sys::REMORA_PROMPT_NO_REQUEST;
        self
    }
    /// The prompt is that of the family's own template, with what the template leaves out.
    pub fn as_template(mut self) -> Self {
        self.raw.flags |= sys::REMORA_PROMPT_AS_TEMPLATE;
        self
    }
    /// Whether the model reasons before the answer.
    pub fn think(mut self, on: bool) -> Self {
        self.raw.think = if on { sys::REMORA_THINK_ON } else { sys::REMORA_THINK_OFF };
        self
    }
    /// The effort of thinking, 1 to 100.
    pub fn effort(mut self, effort: u32) -> Self {
        self.raw.effort = effort;
        self
    }
    /// The choice of tools, `REMORA_CHOICE_*`, and the name of the tool for `REMORA_CHOICE_NAMED`.
    pub fn choice(mut self, choice: i32, tool: &str) -> Self {
        self.raw.choice = choice;
        self.tool = tool.into();
        self
    }
    /// A JSON Schema that the answer is to follow.
    pub fn schema(mut self, schema: &str) -> Self {
        self.schema = schema.into();
        self
    }
}

impl PromptOptions {
    /// The C struct, whose texts are borrowed from self.
    fn for_call(&self) -> sys::remora_prompt_opts {
        let mut raw = self.raw;
        raw.tool = text(&self.tool);
        raw.schema = text(&self.schema);
        raw
    }
}

/// Options of [`Chat::bounds`]; a builder.
#[derive(Clone, Copy, Default)]
pub struct AnswerOptions {
    raw: sys::remora_answer_opts,
}

impl AnswerOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }
    /// The answer has one call at most.
    pub fn one_call(mut self) -> Self {
        self.raw.flags |= sys::REMORA_ANSWER_ONE_CALL;
        self
    }
    /// Keywords of schemas that cannot be enforced are left out, instead of being an error.
    pub fn lax(mut self) -> Self {
        self.raw.flags |= sys::REMORA_ANSWER_LAX;
        self
    }
    /// Bytes that the constraint may take, and steps of work for a pick; 0: the default.
    pub fn limits(mut self, memory: u64, steps: u64) -> Self {
        self.raw.memory = memory;
        self.raw.steps = steps;
        self
    }
}

/// The tokens of a conversation, and where its answer begins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Prompt {
    /// The tokens to append or sync.
    pub tokens: Vec<Token>,
    /// The place where the answer begins, `REMORA_PLACE_*`, for [`ChatParse::new`].
    pub begin: i32,
    /// Are tools declared, so that there may be calls?
    pub has_calls: bool,
    /// Bytes of the prompt as text, names of markers included.
    pub text_bytes: u64,
}

/// A chat format of the host's own: the markers before and behind the text of each turn.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // as in remora_chat_format
pub struct ChatFormat {
    pub begin: String,
    pub system: (String, String),
    pub user: (String, String),
    pub assistant: (String, String),
    pub generation: String,
    pub system_text: String,
    pub think: (String, String),
    pub tools_of: Option<String>,
}

impl ChatFormat {
    fn raw(&self) -> sys::remora_chat_format {
        let mut raw = sys::remora_chat_format::new();
        raw.begin = text(&self.begin);
        raw.system_open = text(&self.system.0);
        raw.system_close = text(&self.system.1);
        raw.user_open = text(&self.user.0);
        raw.user_close = text(&self.user.1);
        raw.assistant_open = text(&self.assistant.0);
        raw.assistant_close = text(&self.assistant.1);
        raw.generation = text(&self.generation);
        raw.system_text = text(&self.system_text);
        raw.think_open = text(&self.think.0);
        raw.think_close = text(&self.think.1);
        raw
    }
}

/// The names of the built-in chat formats.
pub fn chat_formats() -> impl Iterator<Item = &'static str> {
    (0..).map_while(|i| {
        let mut name = std::ptr::null();
        call(|e| unsafe { sys::remora_chat_format_name(i, &mut name, e) }).ok()?;
        Some(static_text(name))
    })
}

/// A conversation: turns, tools, and the chat format of a model.
pub struct Chat(*mut sys::remora_chat);
// As a session: one thread at a time, and calls of &self only read.
unsafe impl Send for Chat {}
unsafe impl Sync for Chat {}

impl Chat {
    /// A conversation in the model's own chat format.
    pub fn new(m: &Model) -> Result<Self> {
        Self::create(m, &sys::remora_chat_opts::new())
    }
    /// A conversation in a built-in chat format. `date` is the date of today, for a family whose prompt has
    /// one, else empty.
    pub fn with_format(m: &Model, format: &str, date: &str) -> Result<Self> {
        let name = CName::new(Some(format))?;
        let mut raw = sys::remora_chat_opts::new();
        raw.format = name.as_ptr();
        raw.date = text(date);
        Self::create(m, &raw)
    }
    /// A conversation in a chat format of the host's own.
    pub fn described(m: &Model, format: &ChatFormat) -> Result<Self> {
        let tools_of = CName::new(format.tools_of.as_deref())?;
        let mut described = format.raw();
        described.tools_of = tools_of.as_ptr();
        let mut raw = sys::remora_chat_opts::new();
        raw.described = &described;
        Self::create(m, &raw)
    }
    fn create(m: &Model, raw: &sys::remora_chat_opts) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_chat_create(m.0, raw, &mut out, e) })?;
        Ok(Self(out))
    }
    /// Add a turn.
    pub fn add(&mut self, turn: &Turn) -> Result<()> {
        let raw_call = |c: &Call| sys::remora_call {
            id: text(&c.id),
            name: text(&c.name),
            arguments: text(&c.arguments),
        };
        let calls: Vec<_> = turn.calls.iter().map(raw_call).collect();
        let mut raw = sys::remora_turn::new();
        raw.role = turn.role as i32;
        raw.text = text(&turn.text);
        raw.name = text(&turn.name);
        raw.reasoning = text(&turn.reasoning);
        raw.call_id = text(&turn.call_id);
        raw.calls = if calls.is_empty() { std::ptr::null() } else { calls.as_ptr() };
        raw.n_calls = calls.len() as u64;
        call(|e| unsafe { sys::remora_chat_add(self.0, &raw, e) }).map(drop)
    }
    /// Declare a tool: JSON in OpenAI's form.
    pub fn add_tool(&mut self, json: &str) -> Result<()> {
        call(|e| unsafe { sys::remora_chat_add_tool(self.0, json.as_ptr().cast(), json.len(), e) }).map(drop)
    }
    /// Add a request in the form of OpenAI's API.
    pub fn add_json(&mut self, json: &str) -> Result<()> {
        call(|e| unsafe { sys::remora_chat_add_json(self.0, json.as_ptr().cast(), json.len(), e) }).map(drop)
    }
    /// Cut the conversation to its first `keep` turns.
    pub fn trim(&mut self, keep: u64) -> Result<()> {
        call(|e| unsafe { sys::remora_chat_trim(self.0, keep, e) }).map(drop)
    }
    /// A constraint for answers to the prompt of these options. It allows calls of declared tools alone,
    /// with arguments that their schemas allow, and JSON where the options ask for JSON.
    pub fn bounds(&self, prompt: &PromptOptions, o: &AnswerOptions) -> Result<Constraint> {
        let mut out = std::ptr::null_mut();
        let prompt = prompt.for_call();
        call(|e| unsafe { sys::remora_chat_constraint(self.0, &prompt, &o.raw, &mut out, e) })?;
        Ok(Constraint(out))
    }
    /// The prompt for the next answer.
    pub fn prompt(&self, o: &PromptOptions) -> Result<Prompt> {
        let raw = o.for_call();
        let mut info = sys::remora_prompt_info::new();
        let tokens = filled(512, |p, cap, n, e| unsafe {
            sys::remora_chat_prompt(self.0, &raw, p, cap, n, &mut info, e)
        })?;
        let (has_calls, text_bytes) = (info.calls != 0, info.text_bytes);
        Ok(Prompt { tokens, begin: info.begin, has_calls, text_bytes })
    }
    /// The numbers of the conversation, and the name of its chat format.
    pub fn info(&self) -> Result<ChatInfo> {
        let mut raw = sys::remora_chat_info::new();
        call(|e| unsafe { sys::remora_chat_get_info(self.0, &mut raw, e) })?;
        Ok(ChatInfo {
            format: text_of(&raw.format),
            n_turns: raw.n_turns,
            n_tools: raw.n_tools,
            thinks: raw.thinks,
            has_calls: raw.has_calls != 0,
        })
    }
    /// The C handle, borrowed.
    pub fn as_ptr(&self) -> *mut sys::remora_chat {
        self.0
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        unsafe { sys::remora_chat_free(self.0) }
    }
}

/// The numbers of a conversation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChatInfo {
    /// The chat format's name.
    pub format: String,
    /// The number of turns.
    pub n_turns: u32,
    /// The number of declared tools.
    pub n_tools: u32,
    /// Whether the family thinks. 0: it does not; 1: off by default; 2: on by default; 3: always.
    pub thinks: u32,
    /// Has the family calls of tools?
    pub has_calls: bool,
}

/// The reason why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The answer ended by itself.
    Stop,
    /// The answer ended with calls.
    Calls,
    /// The answer was cut.
    Length,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A piece of reasoning.
    Reasoning(String),
    /// A piece of the answer's text.
    Content(String),
    /// A call begins.
    Call {
        /// The number of the call, from 0.
        index: u32,
        /// The name of the tool.
        name: String,
        /// The id of the call, in families that have ids.
        id: String,
    },
    /// A piece of the arguments of a call.
    Arguments {
        /// The number of the call.
        index: u32,
        /// A piece of JSON.
        text: String,
    },
    /// The call of this number is complete.
    CallEnd(u32),
    /// Text behind the calls, or behind broken markup.
    Rest(String),
    /// The end of the answer, which is the last event.
    End(Finish),
}

impl Event {
    fn of(raw: &sys::remora_chat_event) -> Self {
        // The header: valid until the next call on the handle, and copied here.
        let (text, index) = (unsafe { str_of(&raw.text) }.to_string(), raw.call);
        match raw.kind {
            sys::REMORA_PART_REASONING => Self::Reasoning(text),
            sys::REMORA_PART_CONTENT => Self::Content(text),
            sys::REMORA_PART_CALL => {
                Self::Call { index, name: text, id: unsafe { str_of(&raw.id) }.to_string() }
            }
            sys::REMORA_PART_ARGUMENTS => Self::Arguments { index, text },
            sys::REMORA_PART_CALL_END => Self::CallEnd(index),
            sys::REMORA_PART_END => Self::End(match raw.finish {
                sys::REMORA_FINISH_CALLS => Finish::Calls,
                sys::REMORA_FINISH_LENGTH => Finish::Length,
                _ => Finish::Stop,
            }),
            _ => Self::Rest(text),
        }
    }
}

/// The state of reading an answer, as the header describes it.
pub type ChatParseInfo = sys::remora_chat_parse_info;

/// Reads an answer while it is generated.
pub struct ChatParse(*mut sys::remora_chat_parse);
// As a session: one thread at a time, and calls of &self only read.
unsafe impl Send for ChatParse {}
unsafe impl Sync for ChatParse {}

impl ChatParse {
    /// A reader of an answer to a prompt of this conversation.
    pub fn new(m: &Model, chat: &Chat, prompt: &Prompt) -> Result<Self> {
        let mut raw = sys::remora_chat_parse_opts::new();
        raw.chat = chat.0;
        raw.begin = prompt.begin;
        raw.flags = if prompt.has_calls { sys::REMORA_CHAT_PARSE_CALLS } else { 0 };
        Self::create(m, &raw)
    }
    /// A reader of an answer in a chat format by name (`None`: the model's own), with calls or without.
    pub fn with_format(m: &Model, format: Option<&str>, calls: bool) -> Result<Self> {
        let name = CName::new(format)?;
        let mut raw = sys::remora_chat_parse_opts::new();
        raw.format = name.as_ptr();
        raw.flags = if calls { sys::REMORA_CHAT_PARSE_CALLS } else { 0 };
        Self::create(m, &raw)
    }
    fn create(m: &Model, raw: &sys::remora_chat_parse_opts) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_chat_parse_create(m.0, raw, &mut out, e) })?;
        Ok(Self(out))
    }
    /// The events of the next tokens of the answer.
    pub fn push(&mut self, t: &[Token]) -> Result<Vec<Event>> {
        let p = self.0;
        events(t, |t, used, event, e| unsafe {
            sys::remora_chat_parse_next(p, t.as_ptr(), t.len(), used, event, e)
        })
    }
    /// The events of the next piece of the answer, as text whose tokens are not known.
    pub fn push_text(&mut self, text: &str) -> Result<Vec<Event>> {
        let p = self.0;
        events(text.as_bytes(), |t, used, event, e| unsafe {
            sys::remora_chat_parse_text(p, t.as_ptr().cast(), t.len(), used, event, e)
        })
    }
    /// The events of the end of the answer, which was cut or not. The last one is [`Event::End`].
    pub fn finish(&mut self, cut: bool) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            let mut raw = sys::remora_chat_event::new();
            let p = self.0;
            let status = call(|e| unsafe { sys::remora_chat_parse_end(p, i32::from(cut), &mut raw, e) })?;
            events.push(Event::of(&raw));
            if status == sys::REMORA_END {
                return Ok(events);
            }
        }
    }
    /// A second reader that goes on from the same place.
    pub fn try_clone(&self) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_chat_parse_clone(self.0, &mut out, e) })?;
        Ok(Self(out))
    }
    /// Go on from the place of another reader: back to a clone, say.
    pub fn copy_from(&mut self, other: &ChatParse) -> Result<()> {
        call(|e| unsafe { sys::remora_chat_parse_copy(self.0, other.0, e) }).map(drop)
    }
    /// The state of reading: counts of calls and bytes so far.
    pub fn info(&self) -> Result<ChatParseInfo> {
        let mut raw = ChatParseInfo::new();
        call(|e| unsafe { sys::remora_chat_parse_get_info(self.0, &mut raw, e) })?;
        Ok(raw)
    }
}

/// All events of a piece of an answer: f reads a part of it, and gives one event with REMORA_MORE.
fn events<T>(
    mut piece: &[T],
    mut f: impl FnMut(&[T], &mut usize, &mut sys::remora_chat_event, *mut sys::remora_error) -> i32,
) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    loop {
        let (mut used, mut raw) = (0, sys::remora_chat_event::new());
        let status = call(|e| f(piece, &mut used, &mut raw, e))?;
        piece = &piece[used..];
        if status != sys::REMORA_MORE {
            return Ok(events);
        }
        events.push(Event::of(&raw));
    }
}

impl Drop for ChatParse {
    fn drop(&mut self) {
        unsafe { sys::remora_chat_parse_free(self.0) }
    }
}
