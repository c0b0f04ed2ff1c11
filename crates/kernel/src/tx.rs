//! A write transaction that carries its events, jobs, mails and audit rows along.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::audit::{self, AuditEntry};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::events::{Event, StoredEvent};
use crate::id::Id;
use crate::jobs::{self, Job};
use crate::messages::{self, NewMessage};
use crate::outbox;

/// What becomes visible once a transaction has committed.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) jobs: usize,
}

/// A write transaction; dereferences to [`db::Tx`] for the stores.
pub struct Tx<'t, 'c> {
    inner: &'t mut db::Tx<'c>,
    ctx: &'t Ctx,
    effects: Effects,
}

impl<'c> Deref for Tx<'_, 'c> {
    type Target = db::Tx<'c>;
    fn deref(&self) -> &Self::Target {
        self.inner
    }
}

impl DerefMut for Tx<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.inner
    }
}

impl<'t, 'c> Tx<'t, 'c> {
    pub(crate) fn new(inner: &'t mut db::Tx<'c>, ctx: &'t Ctx) -> Self {
        Tx { inner, ctx, effects: Effects::default() }
    }

    pub(crate) fn into_effects(self) -> Effects {
        self.effects
    }

    /// Records that something happened, and enqueues its delivery to every subscriber.
    pub fn record<E: Event>(&mut self, event: &E) -> Result<()> {
        let event = StoredEvent {
            id: self.ctx.new_id(),
            name: E::NAME.to_owned(),
            at: self.ctx.now(),
            actor_id: self.ctx.actor.maybe_user_id(),
            request_id: Some(self.ctx.request.id.clone()),
            data: serde_json::to_value(event).map_err(Error::internal)?,
        };
        outbox::insert(self.inner, &event)?;
        for subscriber in self.ctx.app.subscribers_of(E::NAME) {
            self.insert_job(&jobs::NewJob::delivery(subscriber, &event, self.ctx.now())?)?;
        }
        self.effects.events.push(event);
        Ok(())
    }

    /// Enqueues a job that may run as soon as this transaction has committed.
    pub fn enqueue<J: Job>(&mut self, job: &J) -> Result<()> {
        self.enqueue_after(job, Duration::ZERO)
    }

    /// Enqueues a job that runs after `delay`.
    pub fn enqueue_after<J: Job>(&mut self, job: &J, delay: Duration) -> Result<()> {
        let job = jobs::NewJob::of(job, self.ctx.now() + delay)?;
        self.insert_job(&job)
    }

    fn insert_job(&mut self, job: &jobs::NewJob) -> Result<()> {
        jobs::store::insert(self.inner, self.ctx.new_id(), job, self.ctx.now())?;
        self.effects.jobs += 1;
        Ok(())
    }

    /// Queues a mail made from a template; it is sealed at rest and sent by a job.
    pub fn mail<D: Serialize>(&mut self, template: &'static str, to: &str, locale: &str, data: &D) -> Result<()> {
        let data: Value = serde_json::to_value(data).map_err(Error::internal)?;
        let rendered = self.ctx.app.templates().render(template, locale, &data)?;
        self.queue(NewMessage::mail(template, to, rendered))
    }

    /// Queues a text message.
    pub fn sms(&mut self, template: &'static str, to: &str, text: &str) -> Result<()> {
        self.queue(NewMessage::sms(template, to, text))
    }

    fn queue(&mut self, message: NewMessage) -> Result<()> {
        let id: Id<messages::Message> = self.ctx.new_id();
        messages::store::insert(self.inner, &self.ctx.app, id, &message, self.ctx.now())?;
        self.enqueue(&messages::SendMessage { message_id: id })
    }

    /// Appends an audit row: who did what to whom, with which result.
    pub fn audit(&mut self, entry: AuditEntry<'_>) -> Result<()> {
        audit::insert(self.inner, self.ctx, &entry)
    }
}
