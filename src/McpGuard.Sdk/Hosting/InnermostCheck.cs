#pragma warning disable MCPEXP002 // The outer call pipeline is marked experimental; without it a call could become a task before it is checked.
using System.Text.Json;
using System.Text.Json.Nodes;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Downstream;
using McpGuard.Sdk.Http;
using McpGuard.Sdk.Schema;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Hosting;

/// <summary>
/// Looks once more, next to the handler: filters of the host run in between and may change what is called. Only what was decided runs.
/// </summary>
internal sealed class InnermostCheck(CallDecider decider, ToolCatalogue catalogue, ListRules lists, RunningCalls calls)
{
    /// <summary>Where the admission travels with the message.</summary>
    public const string Item = "mcpguard.admission";

    public void AddTo(McpServerFilters filters, McpServerHandlers handlers)
    {
        // First and outermost: no message without an admission of its own method.
        filters.Message.IncomingFilters.Insert(0, next => (message, cancellationToken) =>
            Admitted(message.Items, (message.JsonRpcMessage as JsonRpcRequest)?.Method ?? (message.JsonRpcMessage as JsonRpcNotification)?.Method) is not null
                ? next(message, cancellationToken) : throw Refused());

        // Last and innermost of all messages: a subscription has no place of its own.
        filters.Message.IncomingFilters.Add(next => (message, cancellationToken) =>
            message.JsonRpcMessage is JsonRpcRequest { Method: McpMethods.Listen } request ? Listen(next, message, request, cancellationToken) : next(message, cancellationToken));

        filters.Request.CallToolWithAlternateFilters.Insert(0, (call, next, cancellationToken) =>
            Decided(call.Items, call.Params) is not null ? next(call, cancellationToken) : throw Refused());
        // Last and innermost; a host that replaces the whole pipeline has no such place.
        if (handlers.CallToolWithAlternateHandler is null) filters.Request.CallToolFilters.Add(next => (call, cancellationToken) => Run(next, call, cancellationToken));
        else filters.Request.CallToolWithAlternateFilters.Add((call, next, cancellationToken) => RunAlternate(next, call, cancellationToken));

        filters.Request.ReadResourceFilters.Add(next => (call, ct) => Run(next, call, Same(call.Items, McpMethods.ResourcesRead, "uri", call.Params?.Uri), ct));
        filters.Request.GetPromptFilters.Add(next => (call, ct) => Run(next, call, Same(call.Items, McpMethods.PromptsGet, "name", call.Params?.Name), ct));
        filters.Request.CompleteFilters.Add(next => (call, ct) => Run(next, call, SameReference(call.Items, call.Params), ct));

        filters.Request.ListToolsFilters.Insert(0, next => async (list, ct) => Listed(await next(list, ct), list.Items));
        filters.Request.ListResourcesFilters.Insert(0, next => async (list, ct) => Listed(await next(list, ct), list.Items));
        filters.Request.ListResourceTemplatesFilters.Insert(0, next => async (list, ct) => Listed(await next(list, ct), list.Items));
        filters.Request.ListPromptsFilters.Insert(0, next => async (list, ct) => Listed(await next(list, ct), list.Items));
    }

    private ValueTask<CallToolResult> Run(McpRequestHandler<CallToolRequestParams, CallToolResult> next, RequestContext<CallToolRequestParams> call, CancellationToken cancellationToken)
    {
        if (Decided(call.Items, call.Params) is not { } admission || !Unchanged(admission)) throw Refused();
        return Finish(admission, () => next(call, cancellationToken), result => result.IsError is not true, cancellationToken);
    }

    private ValueTask<ResultOrAlternate<CallToolResult>> RunAlternate(
        McpRequestHandler<CallToolRequestParams, ResultOrAlternate<CallToolResult>> next, RequestContext<CallToolRequestParams> call, CancellationToken cancellationToken)
    {
        if (Decided(call.Items, call.Params) is not { } admission || !Unchanged(admission)) throw Refused();
        return Finish(admission, () => next(call, cancellationToken), result => result.Result?.IsError is not true, cancellationToken);
    }

    private ValueTask<TResult> Run<TParams, TResult>(
        McpRequestHandler<TParams, TResult> next, RequestContext<TParams> call, Admission? admission, CancellationToken cancellationToken) =>
        admission is null ? throw Refused() : Finish(admission, () => next(call, cancellationToken), static _ => true, cancellationToken);

    /// <summary>Filters of the host may have taken their time, and need not look at their token: what was stopped meanwhile does not begin.</summary>
    private static void Begin(Admission admission, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!admission.HandlerBegan()) throw Refused();
    }

    private async ValueTask<T> Finish<T>(Admission admission, Func<ValueTask<T>> handler, Func<T, bool> succeeded, CancellationToken cancellationToken)
    {
        HandlerOutcome how = new(false, HandlerOutcome.Failed);
        Begin(admission, cancellationToken);
        using RunningCall running = calls.Enter(admission.Decision!);
        try
        {
            T result = await handler();
            if (succeeded(result)) how = new(true);
            return result;
        }
        catch (InputRequiredException)
        {
            // Not an error: the handler asks for something first. What comes back is a new request and a new decision.
            how = new(true, "input_required");
            throw;
        }
        finally
        {
            decider.Finished(admission.Decision!, admission.HandlerEnded(how));
        }
    }

    private async Task Listen(McpMessageHandler next, MessageContext message, JsonRpcRequest request, CancellationToken cancellationToken)
    {
        if (Admitted(message.Items, McpMethods.Listen) is not { Decision: { Allowed: true } decision } admission || !SameNews(admission, request)) throw Refused();
        bool success = false;
        Begin(admission, cancellationToken);
        try
        {
            await next(message, cancellationToken);
            success = true;
        }
        catch (OperationCanceledException)
        {
            // Nothing but this ends a stream that works.
            success = true;
            throw;
        }
        finally
        {
            decider.Finished(decision, admission.HandlerEnded(success ? new(true) : new(false, HandlerOutcome.Failed)));
        }
    }

    private static bool SameNews(Admission admission, JsonRpcRequest request) => request.Params?[ItemRules.Notifications] is JsonObject wanted
        && JsonElement.DeepEquals(JsonSerializer.SerializeToElement(wanted, SchemaJson.Default.JsonObject), admission.Message.Params.GetProperty(ItemRules.Notifications));

    /// <summary>The admission of this very call: same tool, equal arguments.</summary>
    private static Admission? Decided(IDictionary<string, object?> items, CallToolRequestParams? call)
    {
        if (Admitted(items, McpMethods.ToolsCall) is not { Decision: { Allowed: true, Tool: { } tool } decision } admission) return null;
        if (call is null || !string.Equals(call.Name, tool.Name, StringComparison.Ordinal)) return null;
        if ((call.Arguments?.Count ?? 0) != decision.Arguments.GetPropertyCount()) return null;
        foreach (JsonProperty argument in decision.Arguments.EnumerateObject())
        {
            if (!call.Arguments!.TryGetValue(argument.Name, out JsonElement value) || !JsonElement.DeepEquals(value, argument.Value)) return null;
        }
        return admission;
    }

    /// <summary>Tools may be replaced while calls are on their way: what runs is the definition that was decided on.</summary>
    private bool Unchanged(Admission admission) =>
        catalogue.Own(admission.Decision!.Tool!.Name) is { } now && string.Equals(now.Digest, admission.Decision.Tool.Digest, StringComparison.Ordinal);

    private static Admission? Same(IDictionary<string, object?> items, string method, string member, string? value) =>
        Admitted(items, method) is { Decision.Allowed: true } admission && value is not null && admission.Message.Text(member) == value ? admission : null;

    private static Admission? SameReference(IDictionary<string, object?> items, CompleteRequestParams? call)
    {
        if (Admitted(items, McpMethods.Complete) is not { Decision.Allowed: true } admission) return null;
        JsonElement named = admission.Message.Params.GetProperty("ref");
        return call?.Ref switch
        {
            PromptReference prompt => named.GetProperty("type").ValueEquals("ref/prompt") && named.GetProperty("name").ValueEquals(prompt.Name) ? admission : null,
            ResourceTemplateReference template => named.GetProperty("type").ValueEquals("ref/resource") && named.GetProperty("uri").ValueEquals(template.Uri) ? admission : null,
            _ => null,
        };
    }

    private static Admission? Admitted(IDictionary<string, object?> items, string? method) =>
        items.TryGetValue(Item, out object? item) && item is Admission admission && admission.Message.Method == method ? admission : null;

    private T Listed<T>(T result, IDictionary<string, object?> items)
        where T : ICacheableResult
    {
        if (items.TryGetValue(Item, out object? item) is false || item is not Admission admission) throw Refused();
        Caller caller = admission.Caller;
        switch (result)
        {
            case ListToolsResult tools: tools.Tools = [.. tools.Tools.Where(t => lists.Tool(caller, t.Name) is not null)]; break;
            case ListResourcesResult resources: resources.Resources = [.. resources.Resources.Where(r => lists.Resource(caller, r.Uri))]; break;
            case ListResourceTemplatesResult templates: templates.ResourceTemplates = [.. templates.ResourceTemplates.Where(t => lists.Template(caller, t.UriTemplate))]; break;
            case ListPromptsResult prompts: prompts.Prompts = [.. prompts.Prompts.Where(p => lists.Prompt(caller, p.Name))]; break;
        }
        // What one caller sees is nobody else's to cache.
        if (admission.Modern) result.CacheScope = CacheScope.Private;
        return result;
    }

    private static McpProtocolException Refused() => new("The call is not the one that was decided.", McpErrorCode.InvalidRequest);
}
