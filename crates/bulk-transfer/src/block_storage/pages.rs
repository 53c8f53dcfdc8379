//! Lists that come page by page, though rows go meanwhile.

use openstack_http::Failure;
use std::collections::BTreeSet;

/// All rows of a list, asked for page by page. One that is gone by the time that it is to mark the
/// next page is left out, and the one before it is the mark. A page that brings nothing new is the
/// last: a service that heeds no mark would give it for ever.
pub(super) async fn pages<T>(
    id: impl Fn(&T) -> String,
    ask: impl AsyncFn(Option<String>) -> Result<Vec<T>, Failure>,
) -> Result<Vec<T>, Failure> {
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    loop {
        match ask(all.last().map(&id)).await {
            Ok(page) => {
                let before = all.len();
                all.extend(page.into_iter().filter(|row| seen.insert(id(row))));
                if all.len() == before {
                    return Ok(all);
                }
            }
            Err(failure) if failure.is_refusal(404) && all.pop().is_some() => {}
            Err(failure) => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::pages;
    use openstack_http::Refusal;
    use std::cell::RefCell;

    #[tokio::test]
    async fn a_list_is_read_to_its_end_though_rows_go_meanwhile() {
        // What is gone before which page is asked for, and what is found.
        for (gone, expected) in [
            (vec![], "abcde"),
            (vec![(1, "b")], "acde"),
            (vec![(1, "ab")], "cde"),
            (vec![(2, "bd")], "abce"),
            (vec![(1, "abcde")], ""),
            (vec![(1, "b"), (2, "a"), (3, "d")], "ce"),
        ] {
            let rows = RefCell::new("abcde".to_owned());
            let asked = RefCell::new(0);
            let found = pages(char::to_string, async |marker: Option<String>| {
                for (_, gone) in gone.iter().filter(|(page, _)| *page == *asked.borrow()) {
                    rows.borrow_mut().retain(|row| !gone.contains(row));
                }
                *asked.borrow_mut() += 1;
                let rows = rows.borrow();
                let begin = match marker {
                    None => 0,
                    Some(marker) => match rows.find(&marker) {
                        Some(place) => place + 1,
                        None => {
                            let message = format!("{marker} could not be found");
                            return Err(Refusal { status: 404, message }.into());
                        }
                    },
                };
                Ok(rows[begin..].chars().take(2).collect())
            });
            let found: String = found.await.unwrap().into_iter().collect();
            assert_eq!(found, expected, "{gone:?}");
        }
        let refused = pages(char::to_string, async |_| {
            Err(Refusal { status: 404, message: "there is no such list".to_owned() }.into())
        });
        assert!(refused.await.unwrap_err().is_refusal(404));
    }

    #[tokio::test]
    async fn a_service_that_heeds_no_mark_is_read_once() {
        let found = pages(char::to_string, async |_| Ok("ab".chars().collect())).await.unwrap();
        assert_eq!(found, ['a', 'b']);
    }
}
