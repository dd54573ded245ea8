//! What is handed in and no machine can ever run: by the function that places, before anything is written.

use policy::admission::{PROBLEMS_LIMIT, Problem, Rejection, Unschedulable, misfit};
use policy::fleet::Misfit;
use policy::placement::ShapeId;
use policy::submission::Submission;
use rustc_hash::FxHashMap;

use crate::scheduler::SchedulerActor;
use crate::wire::client::{Response, WARNINGS_LIMIT};

/// What can be done about it.
const ADVICE: &str = "give a machine more and start it again, or have a daemon take such work in with \
                      [scheduler] unschedulable = \"warn\"";

impl SchedulerActor {
    /// What of a submission no machine can ever run: refused, or told with the answer.
    pub(super) fn check_fit(
        &self,
        submission: &Submission,
        shapes: &[ShapeId],
    ) -> Result<Box<[Box<str>]>, Response> {
        let misfits = self.misfits_among(shapes);
        if misfits.is_empty() {
            return Ok(Box::default());
        }
        let wrong = || {
            let items = submission.items.iter().zip(shapes).enumerate();
            items.filter_map(|(place, (item, shape))| Some((place, item, misfits.get(shape)?)))
        };
        let told = |limit| {
            let told = wrong().take(limit);
            told.flat_map(|(place, item, nodes)| misfit(place, &item.spec.name, nodes)).collect::<Vec<_>>()
        };
        let more = |limit: usize| (wrong().count() as u64).saturating_sub(limit as u64);
        match self.side.limits().unschedulable {
            Unschedulable::Refuse => {
                let (mut problems, more) = (told(PROBLEMS_LIMIT), more(PROBLEMS_LIMIT));
                let (field, value) = (Box::default(), Box::default());
                problems.push(Problem { item: None, field, value, expected: ADVICE.into() });
                Err(Response::Rejected(Rejection { problems, more }))
            }
            Unschedulable::Warn => {
                let warnings = told(WARNINGS_LIMIT).into_iter().map(|problem| problem.to_string().into());
                let rest = Some(more(WARNINGS_LIMIT)).filter(|more| *more > 0);
                Ok(warnings.chain(rest.map(|more| format!("and {more} tasks more").into())).collect())
            }
        }
    }

    /// The demands that no machine can ever meet, each looked at once.
    fn misfits_among(&self, shapes: &[ShapeId]) -> FxHashMap<ShapeId, Misfit> {
        let mut seen: FxHashMap<ShapeId, Option<Misfit>> = FxHashMap::default();
        for shape in shapes {
            seen.entry(*shape).or_insert_with(|| self.dispatch.never_fits(self.shapes.demand(*shape)?));
        }
        seen.into_iter().filter_map(|(shape, nodes)| Some((shape, nodes?))).collect()
    }
}
