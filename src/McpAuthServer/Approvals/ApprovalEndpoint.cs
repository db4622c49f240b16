using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Pages;

namespace McpAuthServer.Approvals;

/// <summary>
/// <c>/approvals/{id}</c>: a person sees one call that waits, with its arguments, and says yes or no, in a session of their own. There is no other way to say yes: no token of
/// whatever kind leads here. An approval that is another's is not told apart from none.
/// </summary>
internal static class ApprovalEndpoint
{
    public const string DecisionField = "decision", Approve = "approve", Refuse = "refuse";

    public static string Path(string id) => $"{Names.Paths.Approvals}/{id}";

    public static void MapApprovals(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.Approvals + "/{id}", ShowAsync);
        routes.MapPost(Names.Paths.Approvals + "/{id}", AnswerAsync);
    }

    private static async Task<IResult> ShowAsync(string id, HttpContext context, ApprovalDesk desk)
    {
        // 1. Addresses decide nothing: whoever puts an answer into one is not this page.
        if (!IsId(id) || context.Request.Query.Count > 0)
            return ApprovalDesk.NotThere;

        // 2. Who; they come back here.
        return await Browser.SignedInAsync(context) is { } who ? await desk.ShowAsync(id, who, context.RequestAborted) : desk.SignIn(id);
    }

    private static async Task<IResult> AnswerAsync(string id, HttpContext context, ApprovalDesk desk)
    {
        // 1. A form of ours, from this browser, made for who is signed in.
        var who = await Browser.SignedInAsync(context);
        var (form, refusal) = await PageForm.ReadAsync(context, AuditTypes.ApprovalDenied, who?.Person.Id);
        if (form is null)
            return refusal!;
        if (!IsId(id))
            return ApprovalDesk.NotThere;
        if (who is null)
            return desk.SignIn(id);

        // 2. An answer.
        return form[DecisionField] switch
        {
            Approve => await desk.AnswerAsync(id, yes: true, who, context.RequestAborted),
            Refuse => await desk.AnswerAsync(id, yes: false, who, context.RequestAborted),
            _ => PageResult.Error(StatusCodes.Status400BadRequest, "There was no answer", "Go back and choose Refuse or Approve."),
        };
    }

    private static bool IsId(string id) => id.Length == Id.Approval.Length + 32 && id.StartsWith(Id.Approval, StringComparison.Ordinal) && id.AsSpan(Id.Approval.Length).IndexOfAnyExcept(Hex) < 0;

    private static readonly System.Buffers.SearchValues<char> Hex = System.Buffers.SearchValues.Create("0123456789abcdef");
}
