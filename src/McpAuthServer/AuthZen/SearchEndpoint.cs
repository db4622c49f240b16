using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Cedar.Mcp;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuthServer.Http;
using McpAuthServer.People;
using McpAuthServer.Policies;

namespace McpAuthServer.AuthZen;

/// <summary>
/// Searches for subjects, tool servers and tools (AuthZEN 1.0 §8): those with which the very same question, asked as an evaluation, is answered with yes.
/// </summary>
internal static class SearchEndpoint
{
    private const int Usual = 50, Most = 200;

    /// <summary>How many are looked at for one page; a page may hold less than was asked for, and none, and still not be the last.</summary>
    private const int MostLooked = 500;

    public static void MapSearch(this IEndpointRouteBuilder api)
    {
        api.MapPost(Names.Paths.SearchSubject, SubjectsAsync);
        api.MapPost(Names.Paths.SearchResource, ResourcesAsync);
        api.MapPost(Names.Paths.SearchAction, ActionsAsync);
    }

    private static async Task<IResult> SubjectsAsync(HttpContext context, EvaluationCallers callers, Evaluator evaluator, PersonStore people)
    {
        var (search, refusal) = await BeginAsync(context, callers, Names.Paths.SearchSubject, Asked.Subjects);
        if (search is null)
            return refusal!;
        // Who works here is not for every tool server to list.
        if (!search.Caller.Administers)
            return await callers.RefuseAsync(search.Caller, new Problem(StatusCodes.Status403Forbidden, Names.Errors.UnauthorizedClient, "Only clients that administer search for subjects."));
        var (question, registry) = (search.Question, search.Caller.Registry);
        Task<List<string>> NextAsync(string after, int count) => question.SubjectType switch
        {
            Names.AuthZen.User => people.PageAsync(after, count, context.RequestAborted),
            Names.AuthZen.Agent => Task.FromResult(After(registry.Agents.Keys, after, count)),
            Names.AuthZen.Client => Task.FromResult(After(registry.Clients.Keys, after, count)),
            _ => Task.FromResult<List<string>>([]),
        };
        return await CollectAsync(
            search, NextAsync, id => evaluator.DecideAsync(question with { SubjectId = id }, search.Caller, context.RequestAborted),
            id => new JsonObject { ["type"] = question.SubjectType, ["id"] = id });
    }

    private static async Task<IResult> ResourcesAsync(HttpContext context, EvaluationCallers callers, Evaluator evaluator)
    {
        var (search, refusal) = await BeginAsync(context, callers, Names.Paths.SearchResource, Asked.Resources);
        if (search is null)
            return refusal!;
        var (question, caller) = (search.Question, search.Caller);
        IEnumerable<string> all = question.ResourceType != Names.AuthZen.ToolServer ? [] : caller.Own is { } own ? [own.Resource] : caller.Registry.ToolServers.Values.Select(s => s.Resource);
        return await CollectAsync(
            search, (after, count) => Task.FromResult(After(all, after, count)), id => evaluator.DecideAsync(question with { ResourceId = id }, caller, context.RequestAborted),
            id => new JsonObject { ["type"] = Names.AuthZen.ToolServer, ["id"] = id });
    }

    private static async Task<IResult> ActionsAsync(HttpContext context, EvaluationCallers callers, Evaluator evaluator)
    {
        var (search, refusal) = await BeginAsync(context, callers, Names.Paths.SearchAction, Asked.Actions);
        if (search is null)
            return refusal!;
        var (question, caller) = (search.Question, search.Caller);
        IEnumerable<string> all = caller.Server(question.ResourceId) is not { } server ? [] : [.. CompiledRelease.Tools(server).Select(t => t.Name), ToolServerModel.ReadResource, ToolServerModel.GetPrompt];
        return await CollectAsync(
            search, (after, count) => Task.FromResult(After(all, after, count)), name => evaluator.DecideAsync(question with { Action = name }, caller, context.RequestAborted),
            name => new JsonObject { ["name"] = name });
    }

    /// <summary>A search that can be made.</summary>
    /// <param name="Mark">Of the request without its page: a token belongs to it alone (§8.2.1).</param>
    /// <param name="After">Empty: from the beginning.</param>
    private sealed record Search(EvaluationCaller Caller, Question Question, string Mark, string After, int Limit);

    private static async Task<(Search? Search, IResult? Refusal)> BeginAsync(HttpContext context, EvaluationCallers callers, string path, Asked asked)
    {
        var (caller, body, refusal) = await EvaluationEndpoint.ReadAsync(context, callers, path);
        if (caller is null)
            return (null, refusal);
        async Task<(Search?, IResult?)> RefuseAsync(string why) => (null, await callers.RefuseAsync(caller, Problem.Invalid(why)));
        if (!Question.Read(body, asked).TryGet(out var question, out var fault))
            return await RefuseAsync(fault.ToString());

        var whole = JsonObject.Create(body)!;
        whole.Remove("page");
        var mark = Base64Url.Sha256(path + CanonicalJson.Digest(JsonSerializer.SerializeToElement(whole, ProtocolJson.Default.JsonObject)));
        var (after, limit, given) = ("", Usual, false);
        if (body.TryGetProperty("page", out var page))
        {
            if (page.ValueKind != JsonValueKind.Object)
                return await RefuseAsync("page is an object.");
            if (page.TryGetProperty("limit", out var most))
            {
                if (most.ValueKind != JsonValueKind.Number || !most.TryGetInt32(out limit) || limit < 0)
                    return await RefuseAsync("page.limit is a whole number, and not less than zero.");
                (limit, given) = (Math.Min(limit, Most), true);
            }
            if (page.TryGetProperty("token", out var token))
            {
                if (token.ValueKind != JsonValueKind.String)
                    return await RefuseAsync("page.token is what an answer called next_token.");
                if (token.GetString() is { Length: > 0 } text)
                {
                    // What is asked for and how many of it stays the same from page to page; the number need not be said again.
                    if (!Base64Url.TryDecode(text, out var bytes) || Encoding.UTF8.GetString(bytes).Split(':', 3) is not [var from, var size, var last]
                        || from != mark || !int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var before) || (given && before != limit))
                        return await RefuseAsync("page.token is what an answer to this very request called next_token.");
                    (after, limit) = (last, Math.Min(before, Most));
                }
            }
        }
        return (new(caller, question, mark, after, limit), null);
    }

    private static async Task<IResult> CollectAsync(Search search, Func<string, int, Task<List<string>>> next, Func<string, Task<Verdict>> decide, Func<string, JsonObject> shown)
    {
        var candidates = await next(search.After, MostLooked + 1);
        var results = new JsonArray();
        var (looked, last) = (0, search.After);
        foreach (var candidate in candidates.Take(MostLooked))
        {
            if (results.Count == search.Limit)
                break;
            (looked, last) = (looked + 1, candidate);
            if ((await decide(candidate)).Allowed)
                results.Add(shown(candidate));
        }
        // §8.2.2: empty when this was the last page.
        var token = looked < candidates.Count ? Base64Url.Encode(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{search.Mark}:{search.Limit}:{last}"))) : "";
        return EvaluationEndpoint.Json(new JsonObject { ["page"] = new JsonObject { ["next_token"] = token, ["count"] = results.Count }, ["results"] = results });
    }

    private static List<string> After(IEnumerable<string> all, string after, int count) =>
        [.. all.Where(one => string.CompareOrdinal(one, after) > 0).Order(StringComparer.Ordinal).Take(count)];
}
