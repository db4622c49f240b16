using System.Text.Json;
using System.Text.Json.Nodes;
using McpGuard.Gateway.Upstreams;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Gateway.Serving;

/// <summary>
/// The MCP server that callers meet behind the guard: every request that it let through goes to the upstream, made anew from what was decided
/// on. No header and no <c>_meta</c> of the caller's goes along.
/// </summary>
internal sealed class Relay(Upstream upstream)
{
    private const string Seen = "mcpguard.gateway.tools", ProgressMethod = "notifications/progress";
    private const int LongestCursor = 4096;

    private static readonly HashSet<int> Passing = [-32700, -32600, -32601, -32602, -32603, -32002];

    private int running;

    public void AddTo(McpServerOptions options)
    {
        options.ServerInfo = new Implementation { Name = "mcpguard-gateway", Version = typeof(Relay).Assembly.GetName().Version!.ToString(3) };
        options.Filters.Message.IncomingFilters.Add(next => (message, cancellationToken) =>
        {
            // The tools as they are no later than when the guard looks for the last time: a change from here on is seen.
            message.Items[Seen] = upstream.Tools;
            return next(message, cancellationToken);
        });
        options.Filters.Message.OutgoingFilters.Add(RelayedAnswer.Filter);
        options.Handlers = new McpServerHandlers
        {
            ListToolsHandler = ListTools, CallToolHandler = CallTool,
            ListResourcesHandler = (list, ct) => List(list, s => s.HasResources, "resources/list", list.Params?.Cursor, "resources", "uri",
                items => new ListResourcesResult { Resources = [.. items.Select(i => new Resource { Uri = i, Name = i })] }, ct),
            ListResourceTemplatesHandler = (list, ct) => List(list, s => s.HasResources, "resources/templates/list", list.Params?.Cursor, "resourceTemplates", "uriTemplate",
                items => new ListResourceTemplatesResult { ResourceTemplates = [.. items.Select(i => new ResourceTemplate { UriTemplate = i, Name = i })] }, ct),
            ListPromptsHandler = (list, ct) => List(list, s => s.HasPrompts, "prompts/list", list.Params?.Cursor, "prompts", "name",
                items => new ListPromptsResult { Prompts = [.. items.Select(i => new Prompt { Name = i })] }, ct),
            ReadResourceHandler = (read, ct) => Item(read, "resources/read", new JsonObject { ["uri"] = read.Params!.Uri }, "contents", new ReadResourceResult { Contents = [] }, ct),
            GetPromptHandler = (get, ct) => Item(get, "prompts/get", Named(get.Params!.Name, get.Params.Arguments), "messages", new GetPromptResult { Messages = [] }, ct),
            CompleteHandler = (complete, ct) => Item(complete, "completion/complete", Completion(complete.Params!), "completion", new CompleteResult { Completion = new() { Values = [] } }, ct),
        };
    }

    private ValueTask<ListToolsResult> ListTools(RequestContext<ListToolsRequestParams> list, CancellationToken cancellationToken)
    {
        IReadOnlyList<JsonElement> tools = upstream.Tools.Definitions;
        RelayedAnswer.Put(list, new JsonObject { ["tools"] = new JsonArray([.. tools.Select(t => JsonObject.Create(t))]) });
        return new(new ListToolsResult { Tools = [.. tools.Select(t => new Tool { Name = t.GetProperty("name").GetString()! })] });
    }

    private async ValueTask<CallToolResult> CallTool(RequestContext<CallToolRequestParams> call, CancellationToken cancellationToken)
    {
        string name = call.Params!.Name;
        try
        {
            JsonObject answer = await Ask(call, "tools/call", Named(name, call.Params.Arguments), async session =>
            {
                // An upstream that says its tools changed is called again once they have been looked at.
                await session.Settled(cancellationToken).WaitAsync(upstream.Limits.Call, cancellationToken);
                if (call.Items[Seen] is not UpstreamTools seen || !seen.Agrees(upstream.Tools, name)) throw new UpstreamException(UpstreamException.Changed);
            }, cancellationToken);
            if (answer["content"] is not JsonArray || answer["isError"] is { } flag && flag.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False))
                throw new UpstreamException(UpstreamException.Malformed);
            RelayedAnswer.Put(call, answer);
            return new CallToolResult { Content = [], IsError = answer["isError"]?.GetValue<bool>() };
        }
        catch (Exception e) when (e is UpstreamException or TimeoutException)
        {
            // For the model to read; that the call failed is on record all the same.
            return new CallToolResult { Content = [new TextContentBlock { Text = e is UpstreamException ? e.Message : UpstreamException.TimedOut }], IsError = true };
        }
    }

    private async ValueTask<TResult> List<TParams, TResult>(
        RequestContext<TParams> list, Func<UpstreamSession, bool> has, string method, string? cursor, string member, string key, Func<IEnumerable<string>, TResult> shown, CancellationToken cancellationToken)
    {
        if (cursor?.Length > LongestCursor) throw new McpProtocolException("There is no such page.", McpErrorCode.InvalidParams);
        if (upstream.Session is { } session && !has(session)) return shown([]);
        JsonObject answer = await Answer(list, method, cursor is null ? [] : new JsonObject { ["cursor"] = cursor }, cancellationToken);
        if (answer[member] is not JsonArray items) throw Failed(UpstreamException.Malformed);
        RelayedAnswer.Put(list, answer);
        return shown([.. items.Select(i => i is JsonObject o && o[key] is JsonValue value && value.TryGetValue(out string? text) ? text : null).OfType<string>()]);
    }

    private async ValueTask<TResult> Item<TParams, TResult>(
        RequestContext<TParams> request, string method, JsonObject parameters, string member, TResult made, CancellationToken cancellationToken)
    {
        JsonObject answer = await Answer(request, method, parameters, cancellationToken);
        if (answer[member] is null) throw Failed(UpstreamException.Malformed);
        RelayedAnswer.Put(request, answer);
        return made;
    }

    private async Task<JsonObject> Answer<TParams>(RequestContext<TParams> request, string method, JsonObject parameters, CancellationToken cancellationToken)
    {
        try
        {
            return await Ask(request, method, parameters, static _ => Task.CompletedTask, cancellationToken);
        }
        catch (UpstreamException e)
        {
            throw Failed(e.Message);
        }
    }

    private async Task<JsonObject> Ask<TParams>(
        RequestContext<TParams> request, string method, JsonObject parameters, Func<UpstreamSession, Task> first, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref running) > upstream.Limits.ConcurrentCalls)
        {
            Interlocked.Decrement(ref running);
            throw new UpstreamException(UpstreamException.Busy);
        }
        try
        {
            UpstreamSession session = upstream.Session ?? throw new UpstreamException(UpstreamException.Down);
            await first(session);
            return await session.Request(method, parameters, Progress(request), upstream.Limits.Call, cancellationToken);
        }
        catch (McpProtocolException e)
        {
            // The upstream's own words; a code that means something on this hop does not pass.
            const string Told = "Request failed (remote): ";
            string text = e.Message.StartsWith(Told, StringComparison.Ordinal) ? e.Message[Told.Length..] : e.Message;
            throw new McpProtocolException(text, Passing.Contains((int)e.ErrorCode) ? e.ErrorCode : McpErrorCode.InternalError);
        }
        finally
        {
            Interlocked.Decrement(ref running);
        }
    }

    /// <summary>The caller's own token in place of ours, on the caller's own stream; null when the caller wants no progress.</summary>
    private static Func<JsonObject, ValueTask>? Progress<TParams>(RequestContext<TParams> request)
    {
        if (request.JsonRpcRequest.Params?["_meta"]?["progressToken"] is not JsonValue token) return null;
        return async told =>
        {
            var params_ = new JsonObject { ["progressToken"] = token.DeepClone() };
            foreach (string member in new[] { "progress", "total", "message" })
            {
                if (told[member] is JsonValue value) params_[member] = value.DeepClone();
            }
            try
            {
                await request.Server.SendMessageAsync(new JsonRpcNotification { Method = ProgressMethod, Params = params_ });
            }
            catch (Exception e) when (e is InvalidOperationException or IOException or ObjectDisposedException or OperationCanceledException)
            {
                // The caller has its answer, or is gone.
            }
        };
    }

    private static JsonObject Named(string name, IEnumerable<KeyValuePair<string, JsonElement>>? arguments)
    {
        var parameters = new JsonObject { ["name"] = name };
        if (arguments is not null) parameters["arguments"] = new JsonObject(arguments.Select(a => KeyValuePair.Create(a.Key, Node(a.Value))));
        return parameters;
    }

    private static JsonObject Completion(CompleteRequestParams asked)
    {
        var parameters = new JsonObject
        {
            ["ref"] = asked.Ref switch
            {
                PromptReference prompt => new JsonObject { ["type"] = prompt.Type, ["name"] = prompt.Name },
                ResourceTemplateReference template => new JsonObject { ["type"] = template.Type, ["uri"] = template.Uri },
                _ => null,
            },
            ["argument"] = new JsonObject { ["name"] = asked.Argument.Name, ["value"] = asked.Argument.Value },
        };
        if (asked.Context?.Arguments is { } known) parameters["context"] = new JsonObject { ["arguments"] = new JsonObject(known.Select(a => KeyValuePair.Create(a.Key, (JsonNode?)a.Value))) };
        return parameters;
    }

    private static JsonNode? Node(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Object => JsonObject.Create(value),
        JsonValueKind.Array => JsonArray.Create(value),
        _ => JsonValue.Create(value),
    };

    private static McpProtocolException Failed(string text) => new(text, McpErrorCode.InternalError);
}
