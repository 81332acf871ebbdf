%% The messaging scenarios with bare processes: `-run bench main SCENARIO OPERATIONS`.
-module(bench).
-export([main/1]).

-define(SENDERS, 4).
-define(BURST, 256).
-define(CALLERS, 64).
-define(HOPS, 4).

main([Scenario, Text]) ->
    Operations = list_to_integer(Text),
    Processes = erlang:system_info(process_count),
    round(Scenario, Operations),
    settle(Processes),
    {Cpu, Wall} = round(Scenario, Operations),
    io:format(
        "{\"scenario\":\"~s\",\"operations\":~b,\"cpu_ns\":~b,\"wall_ns\":~b}~n",
        [Scenario, Operations, Cpu, Wall]
    ),
    halt(0).

%% Waits until what the warm-up started has ended.
settle(Processes) ->
    timer:sleep(10),
    erlang:system_info(process_count) > Processes andalso settle(Processes).

%% One round in a process of its own; the actors are linked to it and end with it, unmeasured.
round(Scenario, Operations) ->
    {Process, Monitor} = spawn_monitor(fun() ->
        exit({measured, measure(fun() -> run(Scenario, Operations) end)})
    end),
    receive
        {'DOWN', Monitor, process, Process, {measured, Measured}} -> Measured
    end.

%% What a piece of work takes, in ns. The runtime knows CPU time in milliseconds only.
measure(Work) ->
    {Cpu, _} = statistics(runtime),
    Wall = erlang:monotonic_time(nanosecond),
    ok = Work(),
    {CpuEnd, _} = statistics(runtime),
    WallEnd = erlang:monotonic_time(nanosecond),
    {(CpuEnd - Cpu) * 1_000_000, WallEnd - Wall}.

run("fan-in", Operations) ->
    Actor = add(none),
    together(?SENDERS, fun() -> send(Actor, Operations div ?SENDERS) end),
    Operations = ask(Actor, sum),
    ok;
run("call-1", Operations) ->
    call(add(none), Operations);
run("call-64", Operations) ->
    call_many(add(none), Operations);
run("chain", Operations) ->
    call_many(lists:foldl(fun(_, Next) -> add(Next) end, none, lists:seq(1, ?HOPS)), Operations);
run("spawn", Operations) ->
    Parent = self(),
    Start = fun() ->
        Parent ! {started, self()},
        actor(0, none)
    end,
    [started(spawn_link(Start)) || _ <- lists:seq(1, Operations)],
    ok.

add(Next) -> spawn_link(fun() -> actor(0, Next) end).

started(Actor) ->
    receive
        {started, Actor} -> ok
    end.

actor(Sum, Next) ->
    receive
        {count, Amount} ->
            actor(Sum + Amount, Next);
        {ask, From, Reference, sum} ->
            From ! {Reference, Sum},
            actor(Sum, Next);
        {ask, From, Reference, Value} when Next =:= none ->
            From ! {Reference, Value},
            actor(Sum, Next);
        Ask ->
            Next ! Ask,
            actor(Sum, Next)
    end.

ask(Actor, What) ->
    Reference = make_ref(),
    Actor ! {ask, self(), Reference, What},
    receive
        {Reference, Answer} -> Answer
    end.

send(_Actor, 0) ->
    ok;
send(Actor, Left) ->
    Actor ! {count, 1},
    Left rem ?BURST =:= 0 andalso erlang:yield(),
    send(Actor, Left - 1).

call(_Actor, 0) ->
    ok;
call(Actor, Left) ->
    Left = ask(Actor, Left),
    call(Actor, Left - 1).

call_many(Actor, Operations) ->
    together(?CALLERS, fun() -> call(Actor, Operations div ?CALLERS) end).

%% Runs as many processes and waits until all have ended well.
together(Count, Work) ->
    Started = [spawn_monitor(Work) || _ <- lists:seq(1, Count)],
    [
        receive
            {'DOWN', Monitor, process, Process, normal} -> ok
        end
     || {Process, Monitor} <- Started
    ],
    ok.
