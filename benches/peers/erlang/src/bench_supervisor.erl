%% The supervisor of the actors.
-module(bench_supervisor).
-behaviour(supervisor).
-export([start_link/0, add/2, init/1]).

start_link() -> supervisor:start_link(?MODULE, []).

add(Supervisor, Next) ->
    {ok, Actor} = supervisor:start_child(Supervisor, [Next]),
    Actor.

init([]) ->
    Child = #{id => actor, start => {bench_actor, start_link, []}, restart => permanent},
    {ok, {#{strategy => simple_one_for_one, intensity => 3, period => 60}, [Child]}}.
