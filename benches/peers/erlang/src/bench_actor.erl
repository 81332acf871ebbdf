%% The actor: counts, or answers with what it got, by way of the next one if there is one.
-module(bench_actor).
-behaviour(gen_server).
-export([start_link/1, count/2, sum/1, echo/2]).
-export([init/1, handle_call/3, handle_cast/2]).

start_link(Next) -> gen_server:start_link(?MODULE, Next, []).

count(Actor, Amount) -> gen_server:cast(Actor, {count, Amount}).
sum(Actor) -> gen_server:call(Actor, sum, 60_000).
echo(Actor, Value) -> gen_server:call(Actor, {echo, Value}, 60_000).

init(Next) -> {ok, {0, Next}}.

handle_call({echo, Value}, _From, {_, none} = State) ->
    {reply, Value, State};
handle_call({echo, Value}, From, {_, Next} = State) ->
    gen_server:cast(Next, {echo, Value, From}),
    {noreply, State};
handle_call(sum, _From, {Sum, _} = State) ->
    {reply, Sum, State}.

handle_cast({count, Amount}, {Sum, Next}) ->
    {noreply, {Sum + Amount, Next}};
handle_cast({echo, Value, From}, {_, none} = State) ->
    gen_server:reply(From, Value),
    {noreply, State};
handle_cast({echo, _, _} = Echo, {_, Next} = State) ->
    gen_server:cast(Next, Echo),
    {noreply, State}.
