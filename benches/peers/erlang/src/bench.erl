%% The messaging scenarios on gen_server: `-run bench main SCENARIO OPERATIONS`.
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

%% One round with a tree of its own, which is taken down unmeasured.
round(Scenario, Operations) ->
    {ok, Supervisor} = bench_supervisor:start_link(),
    Measured = measure(fun() -> run(Scenario, Supervisor, Operations) end),
    unlink(Supervisor),
    exit(Supervisor, kill),
    Measured.

%% What a piece of work takes, in ns. The runtime knows CPU time in milliseconds only.
measure(Work) ->
    {Cpu, _} = statistics(runtime),
    Wall = erlang:monotonic_time(nanosecond),
    ok = Work(),
    {CpuEnd, _} = statistics(runtime),
    WallEnd = erlang:monotonic_time(nanosecond),
    {(CpuEnd - Cpu) * 1_000_000, WallEnd - Wall}.

run("fan-in", Supervisor, Operations) ->
    Actor = bench_supervisor:add(Supervisor, none),
    together(?SENDERS, fun() -> send(Actor, Operations div ?SENDERS) end),
    Operations = bench_actor:sum(Actor),
    ok;
run("call-1", Supervisor, Operations) ->
    call(bench_supervisor:add(Supervisor, none), Operations);
run("call-64", Supervisor, Operations) ->
    call_many(bench_supervisor:add(Supervisor, none), Operations);
run("chain", Supervisor, Operations) ->
    Add = fun(_, Next) -> bench_supervisor:add(Supervisor, Next) end,
    call_many(lists:foldl(Add, none, lists:seq(1, ?HOPS)), Operations);
run("spawn", _Supervisor, 0) ->
    ok;
run("spawn", Supervisor, Operations) ->
    bench_supervisor:add(Supervisor, none),
    run("spawn", Supervisor, Operations - 1).

send(_Actor, 0) ->
    ok;
send(Actor, Left) ->
    bench_actor:count(Actor, 1),
    Left rem ?BURST =:= 0 andalso erlang:yield(),
    send(Actor, Left - 1).

call(_Actor, 0) ->
    ok;
call(Actor, Left) ->
    Left = bench_actor:echo(Actor, Left),
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
