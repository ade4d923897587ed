//! A small pool of readers of the store, used beside the asynchronous threads.
//!
//! At most so many read at a time and so many wait; who comes then is told to come again. It does
//! not know what is read.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use baton_engine::store::{StoreError, Views};
use tokio::sync::Semaphore;

use super::code::ProblemCode;
use super::problem::Problem;

/// How many reads may wait for each reader.
const WAITING_PER_READER_MAX: usize = 256;

/// Opens another reader.
pub type OpenViews = dyn Fn() -> Result<Box<dyn Views>, StoreError> + Send + Sync;

/// A pool of readers.
#[derive(Clone)]
pub struct Readers(Arc<Pool>);

struct Pool {
    open: Box<OpenViews>,
    idle: Mutex<Vec<Box<dyn Views>>>,
    /// One permit for each that may read now.
    reading: Semaphore,
    /// One permit for each that may read or wait.
    admitted: Semaphore,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readers({} free)", self.0.reading.available_permits())
    }
}

impl Readers {
    /// At most `readers_max` of them, opened when they are first needed.
    pub fn new(open: Box<OpenViews>, readers_max: usize) -> Self {
        let readers = readers_max.max(1);
        Self(Arc::new(Pool {
            open,
            idle: Mutex::default(),
            reading: Semaphore::new(readers),
            admitted: Semaphore::new(readers * (1 + WAITING_PER_READER_MAX)),
        }))
    }

    /// Reads on a thread that may block; 503 where too many wait already.
    pub async fn read<T, F>(&self, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Views) -> Result<T, Problem> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        let _admitted = pool.admitted.try_acquire().map_err(|_| {
            Problem::new(ProblemCode::Overloaded, "too many reads wait already; try again shortly")
        })?;
        let closed = |_| Problem::new(ProblemCode::Draining, "the readers were closed");
        let _reading = pool.reading.acquire().await.map_err(closed)?;
        let blocking = Arc::clone(&pool);
        let done = tokio::task::spawn_blocking(move || blocking.read_now(read)).await;
        done.unwrap_or_else(|panicked| {
            Err(Problem::new(ProblemCode::Internal, format!("a read panicked: {panicked}")))
        })
    }
}

impl Pool {
    fn read_now<T>(
        &self,
        read: impl FnOnce(&mut dyn Views) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut views = match idle {
            Some(views) => views,
            None => (self.open)()?,
        };
        let done = read(views.as_mut());
        let faulty = |problem: &Problem| problem.status >= 500;
        // A reader that met a fault of the store is not trusted again.
        if !done.as_ref().is_err_and(faulty) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(views);
        }
        done
    }
}
