"""The released recommender answers people that it has never met, and answers them sensibly."""

from functools import cache

import bentoml
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from pydantic import ValidationError

from slipway.cases.recommendation import CASE, MAX_FILMS, Viewer
from slipway.core.card import Metric
from slipway.core.model import MODEL_FILE, Model
from slipway.training.data import load
from slipway.training.release import GateError, gate

UNKNOWN = 999_983

MATRIX, FELLOWSHIP, TWO_TOWERS, RETURN_OF_THE_KING = 2571, 4993, 5952, 7153


@cache
def model():
    return Model.load(bentoml.models.get("recommendation:latest"))


@cache
def arrays():
    """The arrays in the graph, by name."""
    proto = onnx.load(bentoml.models.get(model().tag).path_of(MODEL_FILE))
    return {array.name: numpy_helper.to_array(array) for array in proto.graph.initializer}


@cache
def catalogue():
    return arrays()["ids"].tolist()


known_films = st.integers(0, 10_000).map(lambda number: catalogue()[number % len(catalogue())])
films = st.lists(st.one_of(known_films, st.just(UNKNOWN)), max_size=40)
stars = st.integers(1, 10).map(lambda halves: halves / 2)


@st.composite
def viewers(draw):
    """A person who rated some films, of which the model may not know all, and some perhaps twice."""
    chosen = draw(films)
    return Viewer(films=chosen, stars=draw(st.lists(stars, min_size=len(chosen), max_size=len(chosen))))


def ask(*people):
    return list(CASE.answers(model().predict(people), model().card))


def person(ratings=()):
    """A person by pairs of film and stars."""
    return Viewer(films=[film for film, _ in ratings], stars=[float(rated) for _, rated in ratings])


def ids(ten):
    return [film.film for film in ten.films]


def by_hand(viewer):
    """The scores of all films for a person, one film after the other, from the arrays of the graph."""
    opinions = {}
    for film, rated in zip(viewer.films, viewer.stars, strict=True):
        opinions[film] = max(opinions.get(film, 0), rated)
    scores = arrays()["lately"].copy()
    for film, rated in opinions.items():
        if film in catalogue():
            scores += (rated - 2.5) / 2.5 * arrays()["weight"][catalogue().index(film)]
    for film in opinions:
        if film in catalogue():
            scores[catalogue().index(film)] = -np.inf
    return scores


@settings(max_examples=100, deadline=None)
@given(people=st.lists(viewers(), min_size=1, max_size=5))
def test_it_agrees_with_the_sum_by_hand_for_anyone(people):
    outputs = model().predict(people)
    for row, viewer in enumerate(people):
        scores = by_hand(viewer)
        best = np.sort(scores)[::-1][:10]
        assert outputs["scores"][row] == pytest.approx(best, abs=1e-12)
        places = [catalogue().index(film) for film in outputs["prediction"][row]]
        assert scores[places] == pytest.approx(best, abs=1e-12)
        assert outputs["titles"][row].tolist() == arrays()["names"][places].astype(str).tolist()
        assert outputs["known"][row] == len(set(viewer.films) & set(catalogue()))


@settings(max_examples=50, deadline=None)
@given(viewer=viewers())
def test_ten_different_films_none_of_them_seen_the_best_first(viewer):
    (ten,) = ask(viewer)
    assert len(set(ids(ten))) == 10
    assert not set(ids(ten)) & set(viewer.films)
    scores = [film.score for film in ten.films]
    assert scores == sorted(scores, reverse=True)


def test_someone_new_gets_what_most_people_liked_lately():
    (ten,) = ask(person())
    assert ten.is_cold_start
    assert ten.known == 0
    ratings = load("recommendation").tail(10_000)
    likes = ratings[ratings["stars"] >= 4].groupby("film").size()
    assert likes[ids(ten)].tolist() == likes.nlargest(10).tolist()


def test_films_that_it_does_not_know_are_left_out():
    new, stranger, fan, fan_of_more = ask(
        person(), person([(UNKNOWN, 5)]), person([(MATRIX, 5)]), person([(UNKNOWN, 1), (MATRIX, 5), (UNKNOWN + 1, 5)])
    )
    assert stranger == new
    assert fan_of_more == fan
    assert fan.known == 1
    assert not fan.is_cold_start


def test_titles_are_those_of_the_data():
    ratings = load("recommendation").drop_duplicates("film").set_index("film")
    for film in ask(person())[0].films:
        assert film.title == f"{ratings['title'][film.film]} ({ratings['year'][film.film]})"


def test_the_order_of_the_ratings_does_not_matter():
    rated = [(film, 1 + place % 9 / 2) for place, film in enumerate(catalogue()[::12])]
    forwards, backwards = ask(person(rated), person(rated[::-1]))
    assert forwards == backwards


def test_nor_does_who_else_asks():
    """Short lists of a request are filled with zeros; that must not show."""
    short, long = person([(MATRIX, 4.5)]), person([(film, 2) for film in catalogue()[:MAX_FILMS]])
    assert ask(short, long, person()) == [*ask(short), *ask(long), *ask(person())]


def test_a_film_rated_twice_has_its_higher_stars_and_counts_once():
    twice, once = ask(person([(MATRIX, 1), (FELLOWSHIP, 4), (MATRIX, 5)]), person([(MATRIX, 5), (FELLOWSHIP, 4)]))
    assert twice == once
    assert twice.known == 2


def test_two_and_a_half_stars_are_no_opinion():
    new, indifferent = ask(person(), person([(film, 2.5) for film in ids(ask(person())[0])[:3]]))
    assert indifferent.films[:7] == new.films[3:]


def test_who_liked_the_first_part_is_shown_the_others_and_who_hated_it_is_not():
    liked, hated = ask(person([(FELLOWSHIP, 5)]), person([(FELLOWSHIP, 0.5)]))
    assert {TWO_TOWERS, RETURN_OF_THE_KING} <= set(ids(liked)[:3])
    assert not {TWO_TOWERS, RETURN_OF_THE_KING} & set(ids(hated))


@settings(max_examples=50, deadline=None)
@given(film=known_films, low=stars, high=stars)
def test_what_a_film_speaks_for_most_never_falls_when_that_film_is_liked_more(film, low, high):
    low, high = sorted([low, high])
    follower = catalogue()[arrays()["weight"][catalogue().index(film)].argmax()]
    places = [[*ids(ten), follower].index(follower) for ten in ask(person([(film, low)]), person([(film, high)]))]
    assert places[1] <= places[0]


def test_ten_are_left_for_who_has_rated_as_many_as_may_be_sent():
    """Even if they are those that would be shown first."""
    best_first = [catalogue()[place] for place in np.argsort(-arrays()["lately"])]
    (ten,) = ask(person([(film, 2.5) for film in best_first[:MAX_FILMS]]))
    assert ten.known == MAX_FILMS
    assert len(set(ids(ten))) == 10
    assert np.isfinite([film.score for film in ten.films]).all()


def test_no_film_speaks_for_itself():
    assert np.abs(np.diag(arrays()["weight"])).max() < 1e-12


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"films": [1, 2], "stars": [4.0]}, "2 films and 1 stars"),
        ({"films": [], "stars": [4.0]}, "0 films and 1 stars"),
        ({"films": [0], "stars": [4.0]}, "greater than or equal to 1"),
        ({"films": [1], "stars": [0.0]}, "greater than or equal to 0.5"),
        ({"films": [1], "stars": [5.5]}, "less than or equal to 5"),
        ({"films": [1], "stars": [float("nan")]}, "finite"),
        ({"films": [1.5], "stars": [4.0]}, "valid integer"),
        ({"films": ["1"], "stars": [4.0]}, "valid integer"),
        ({"films": [1], "stars": [None]}, "valid number"),
        ({"films": list(range(1, 302)), "stars": [4.0] * 301}, "at most 300"),
        ({"films": [1]}, "Field required"),
        ({"films": [1], "stars": [4.0], "name": "Ada"}, "Extra inputs"),
    ],
)
def test_what_is_no_list_of_ratings_is_refused(record, problem):
    with pytest.raises(ValidationError, match=problem):
        Viewer.model_validate(record)


def test_a_list_that_needs_no_learning_is_not_released():
    """What most people liked lately, with its own figures."""
    lately = {"recall_at_10": Metric(value=0.085, low=0.069, high=0.102), "gain": Metric(value=0, low=0, high=0)}
    with pytest.raises(GateError, match=r"gain is 0, must be at least 0.01"):
        gate(CASE, lately)


def test_the_release_was_better_than_that():
    metrics = model().card.metrics
    assert metrics["gain"].low > 0
    assert metrics["recall_at_10"].low > 0.064  # the films that most people liked ever
