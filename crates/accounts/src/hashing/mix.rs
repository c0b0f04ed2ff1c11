//! Which scheme a name without a password is checked against: the mix of the schemes that there are (ENU-2).
//!
//! Imported passwords keep their old scheme until their owner logs in, and it may take another time than ours. If every unknown
//! name cost the work of a new hash, each name that costs something else would be known to exist.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kernel::{App, Ctx, Error, Job, LogAndContinue as _, Result};
use serde::{Deserialize, Serialize};

use super::area::Current;
use super::{Hasher, formats};
use crate::passwords::store;

/// Rows whose scheme is looked up in one transaction; the store's SQL says the same number.
const BATCH: u64 = 500;

/// The schemes and how many passwords have each.
pub(super) struct Mix {
    shares: RwLock<Arc<[Share]>>,
    new: Arc<str>,
}

struct Share {
    hash: Arc<str>,
    count: u64,
}

impl Mix {
    /// The mix of an instance without passwords: only what a new one would be.
    pub(super) fn of_new_hashes(current: &Current) -> Result<Mix> {
        let scheme = match current.bcrypt_cost {
            Some(cost) => format!("$2b${cost:02}"),
            None => {
                let (m, t, p) = (current.argon2.m_cost(), current.argon2.t_cost(), current.argon2.p_cost());
                format!("$argon2id$v=19$m={m},t={t},p={p}")
            }
        };
        let new: Arc<str> = formats::nobodys(&scheme).ok_or_else(|| Error::internal("no hash is like a new one"))?.into();
        Ok(Mix { shares: RwLock::new(Arc::new([])), new })
    }

    /// Takes over how many passwords there are of each scheme. Their order is fixed, so that few names change their scheme with it.
    pub(super) fn learn(&self, schemes: &[(String, u64)]) {
        let mut schemes: Vec<&(String, u64)> = schemes.iter().collect();
        schemes.sort_unstable();
        let share = |(scheme, count): &(String, u64)| Some(Share { hash: formats::nobodys(scheme)?.into(), count: *count });
        let shares: Arc<[Share]> = schemes.into_iter().filter_map(share).collect();
        *self.shares.write().unwrap_or_else(PoisonError::into_inner) = shares;
    }

    /// The hash for a name at this point of the whole range of numbers.
    pub(super) fn pick(&self, point: u64) -> Arc<str> {
        let shares = self.shares.read().unwrap_or_else(PoisonError::into_inner).clone();
        let total: u64 = shares.iter().map(|share| share.count).sum();
        // The upper half of a product of 128 bits: the point as a part of the total.
        let mut place = u64::try_from((u128::from(point) * u128::from(total)) >> 64).unwrap_or(0);
        for share in shares.iter() {
            if place < share.count {
                return Arc::clone(&share.hash);
            }
            place -= share.count;
        }
        Arc::clone(&self.new)
    }
}

/// How often a node counts the schemes for itself.
const EVERY: Duration = Duration::from_secs(3600);

/// Notes the scheme of each password that lacks it, and counts them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MeasureSchemes {}

impl Job for MeasureSchemes {
    const KIND: &'static str = "accounts.measure_schemes";
}

pub(crate) async fn measure_schemes(ctx: Ctx, _job: MeasureSchemes) -> Result<()> {
    // Rows of before the column, and of who wrote them by hand.
    ctx.write_in_batches(BATCH, |tx| {
        let unknown = store::without_scheme(tx)?;
        for (user, phc) in &unknown {
            store::set_scheme(tx, *user, formats::scheme_of(phc).unwrap_or("unusable"))?;
        }
        Ok(unknown.len() as u64)
    })
    .await?;
    measure(&ctx.app).await
}

/// Counts the schemes now and again and again, on each node: a job would run on one of them only.
pub(crate) async fn keep_measured(app: &App) -> Result<()> {
    measure(app).await?;
    let node = app.clone();
    app.spawn(async move {
        let mut stopping = node.stopping();
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => drop(measure(&node).await.log_and_continue("counting the schemes of passwords")),
                () = stopping.wait() => return,
            }
        }
    });
    Ok(())
}

async fn measure(app: &App) -> Result<()> {
    let schemes = app.db().read_long(|c| Ok::<_, Error>(store::count_by_scheme(c)?)).await?;
    app.state::<Hasher>().learn_mix(&schemes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    fn mix(schemes: &[(&str, u64)]) -> Mix {
        let mix = Mix::of_new_hashes(&Current { argon2: Params::new(8, 1, 1, None).unwrap(), bcrypt_cost: None }).unwrap();
        mix.learn(&schemes.iter().map(|(scheme, count)| ((*scheme).to_owned(), *count)).collect::<Vec<_>>());
        mix
    }

    /// How many of 1,000 points, evenly spread, meet a hash that starts like this.
    fn per_thousand(mix: &Mix, start: &str) -> usize {
        let step = u64::MAX / 1000;
        (0..1000u64).filter(|number| mix.pick(number * step + step / 2).starts_with(start)).count()
    }

    #[test]
    fn enu2_without_passwords_a_name_costs_a_new_hash() {
        for none in [mix(&[]), mix(&[("unusable", 9)]), mix(&[("$2b$12", 0)])] {
            assert_eq!(per_thousand(&none, "$argon2id$v=19$m=8,t=1,p=1$"), 1000);
        }
    }

    #[test]
    fn enu2_schemes_meet_unknown_names_as_often_as_there_are_passwords_of_them() {
        let mix = mix(&[("$argon2id$v=19$m=8,t=1,p=1", 600), ("$2b$12", 300), ("$2y$10", 100), ("unusable", 5000)]);
        assert_eq!(per_thousand(&mix, "$argon2id$"), 600);
        assert_eq!((per_thousand(&mix, "$2b$12$"), per_thousand(&mix, "$2y$10$")), (300, 100));
    }

    #[test]
    fn enu2_a_name_meets_the_same_scheme_every_time() {
        let (one, other) = (mix(&[("$2b$12", 1), ("$2y$10", 1)]), mix(&[("$2y$10", 1), ("$2b$12", 1)]));
        for point in [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX] {
            assert_eq!(one.pick(point), other.pick(point));
        }
    }

    #[test]
    fn enu2_billions_of_passwords_do_not_overflow() {
        let mix = mix(&[("$2b$12", u64::MAX / 2), ("$2y$10", u64::MAX / 2)]);
        assert_eq!(per_thousand(&mix, "$2b$12$"), 500);
    }
}
