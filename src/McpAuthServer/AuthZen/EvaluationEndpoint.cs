using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Http;

namespace McpAuthServer.AuthZen;

/// <summary>Access evaluation, one question or several at once (AuthZEN 1.0 §6, §7). A denial is an answer like any other: 200.</summary>
internal static class EvaluationEndpoint
{
    /// <summary>Of a body; and of questions in one.</summary>
    public const int Longest = 256 * 1024;

    private const int Most = 100;

    private static readonly string[] Semantics = [Names.AuthZen.ExecuteAll, Names.AuthZen.DenyOnFirstDeny, Names.AuthZen.PermitOnFirstPermit];

    public static void MapAuthZen(this IEndpointRouteBuilder routes)
    {
        var api = routes.MapGroup("").WithMetadata(new FailureForm(Problem.Of), new EchoesRequestId());
        api.MapPost(Names.Paths.AccessEvaluation, EvaluationAsync);
        api.MapPost(Names.Paths.AccessEvaluations, EvaluationsAsync);
        api.MapSearch();
    }

    private static async Task<IResult> EvaluationAsync(HttpContext context, EvaluationCallers callers, Evaluator evaluator)
    {
        var (caller, body, refusal) = await ReadAsync(context, callers, Names.Paths.AccessEvaluation);
        return caller is null ? refusal! : await OneAsync(context, callers, evaluator, caller, body);
    }

    private static async Task<IResult> EvaluationsAsync(HttpContext context, EvaluationCallers callers, Evaluator evaluator)
    {
        var (caller, body, refusal) = await ReadAsync(context, callers, Names.Paths.AccessEvaluations);
        if (caller is null)
            return refusal!;

        // 1. §7.1: without questions it is one itself.
        if (!body.TryGetProperty("evaluations", out var all))
            return await OneAsync(context, callers, evaluator, caller, body);
        if (all.ValueKind != JsonValueKind.Array || all.EnumerateArray().Any(q => q.ValueKind != JsonValueKind.Object))
            return await callers.RefuseAsync(caller, Problem.Invalid("evaluations is an array of objects."));
        if (all.GetArrayLength() == 0)
            return await OneAsync(context, callers, evaluator, caller, body);
        if (all.GetArrayLength() > Most)
            return await callers.RefuseAsync(caller, Problem.Invalid($"evaluations holds at most {Most} questions."));

        // 2. §7.1.2: how far to go.
        var semantic = Names.AuthZen.ExecuteAll;
        if (body.TryGetProperty("options", out var options))
        {
            if (options.ValueKind != JsonValueKind.Object)
                return await callers.RefuseAsync(caller, Problem.Invalid("options is an object."));
            if (options.TryGetProperty("evaluations_semantic", out var given))
            {
                if (given.ValueKind != JsonValueKind.String || !Semantics.Contains(given.GetString(), StringComparer.Ordinal))
                    return await callers.RefuseAsync(caller, Problem.Invalid($"evaluations_semantic is one of {string.Join(", ", Semantics)}."));
                semantic = given.GetString()!;
            }
        }

        // 3. §7.2: in their order; one that is wrong by itself is a no with an error (§7.2.1), and the others are answered.
        var answers = new JsonArray();
        var foreign = false;
        foreach (var item in all.EnumerateArray())
        {
            bool allowed;
            if (Question.Read(item, Asked.Decision, body).TryGet(out var question, out var fault))
            {
                foreign |= IsForeign(question, caller);
                var verdict = await evaluator.DecideAsync(question, caller, context.RequestAborted);
                allowed = verdict.Allowed;
                answers.Add(verdict.ToJson(caller.Administers));
            }
            else
            {
                allowed = false;
                answers.Add(new JsonObject
                {
                    ["decision"] = false, ["context"] = new JsonObject { ["error"] = new JsonObject { ["status"] = StatusCodes.Status400BadRequest, ["message"] = fault.ToString() } },
                });
            }
            if (semantic == (allowed ? Names.AuthZen.PermitOnFirstPermit : Names.AuthZen.DenyOnFirstDeny))
                break;
        }
        if (foreign)
            await callers.RecordAsync(caller, "wrong_resource");
        return Json(new JsonObject { ["evaluations"] = answers });
    }

    private static async Task<IResult> OneAsync(HttpContext context, EvaluationCallers callers, Evaluator evaluator, EvaluationCaller caller, JsonElement body)
    {
        if (!Question.Read(body, Asked.Decision).TryGet(out var question, out var fault))
            return await callers.RefuseAsync(caller, Problem.Invalid(fault.ToString()));
        if (IsForeign(question, caller))
            await callers.RecordAsync(caller, "wrong_resource");
        return Json((await evaluator.DecideAsync(question, caller, context.RequestAborted)).ToJson(caller.Administers));
    }

    /// <summary>Who asks, before anything else is looked at; and a body that is an object.</summary>
    public static async Task<(EvaluationCaller? Caller, JsonElement Body, IResult? Refusal)> ReadAsync(HttpContext context, EvaluationCallers callers, string path)
    {
        var (caller, refusal) = await callers.AuthenticateAsync(context, path);
        if (caller is null)
            return (null, default, refusal);
        var (body, error) = await StrictBody.JsonAsync(context.Request, Longest);
        if (error is not null)
            return (null, default, await callers.RefuseAsync(caller, Problem.Of(error)));
        return body.ValueKind == JsonValueKind.Object ? (caller, body, null) : (null, default, await callers.RefuseAsync(caller, Problem.Invalid("The body must be a JSON object.")));
    }

    public static IResult Json(JsonObject answer) => Results.Json(answer, ProtocolJson.Default.JsonObject);

    /// <summary>Whoever has one tool server asks about another.</summary>
    private static bool IsForeign(Question question, EvaluationCaller caller) => !caller.Administers && caller.Server(question.ResourceId) is null;
}
