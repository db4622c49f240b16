using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Http;
using McpAuthServer.Pages;
using McpAuthServer.Pages.Wording;
using McpAuthServer.People;
using McpAuthServer.Storage;

namespace McpAuthServer.Logout;

/// <summary>
/// RP-Initiated Logout: a program sends a person here to sign out. At once when it shows an ID token of this very sign-in; else the person is asked,
/// because any page can send them here.
/// </summary>
internal static class LogoutEndpoint
{
    public const string TicketField = "ticket";

    private const int MaxLength = 12 * 1024;

    public static void MapLogout(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.Logout, BeginAsync);
        // §2: a form as well. A form from elsewhere comes without the person's cookies, so it goes on as an address, sealed.
        routes.MapPost(Names.Paths.Logout, async (HttpContext context, LogoutDesk desk) =>
            await StrictBody.EncodedAsync(context.Request, MaxLength) is { } encoded ? desk.Onward(encoded) : await desk.RefuseAsync("form", "The request could not be read."));
        routes.MapPost(Names.Paths.LogoutConfirm, ConfirmAsync);
    }

    private static async Task<IResult> BeginAsync(HttpContext context, LogoutDesk desk)
    {
        var query = context.Request.QueryString.Value is { Length: > 1 } text ? text[1..] : "";
        if (query.Length > MaxLength)
            return await desk.RefuseAsync("too_long", "The request is too long.");
        // 1. What is wished for; an error never leaves this server (§4).
        if (context.Request.Query[TicketField] is [{ } ticket])
            return desk.Open(ticket) is { } sealedText ? await desk.AnswerAsync(context, sealedText) : await desk.RefuseAsync(TicketField, "The page is out of date.");
        return await desk.AnswerAsync(context, query);
    }

    private static async Task<IResult> ConfirmAsync(HttpContext context, LogoutDesk desk)
    {
        var who = await Browser.SignedInAsync(context);
        var (form, refusal) = await PageForm.ReadAsync(context, AuditTypes.SignedOut, who?.Person.Id);
        if (form is null)
            return refusal!;
        return desk.Open(form[TicketField]) is { } encoded ? await desk.EndAsync(context, encoded, who) : await desk.RefuseAsync(TicketField, "The page is out of date.", who);
    }
}

/// <summary>Decides what comes of one wish.</summary>
internal sealed class LogoutDesk(LogoutRequests requests, LogoutTickets tickets, ICommitLog log, AuditTrail audit, Issuer issuer, ServerOptions options, TimeProvider time)
{
    public string? Open(string? ticket) => tickets.Open(ticket);

    public SeeOther Onward(string encoded) => new($"{issuer.BasePath}{Names.Paths.Logout}?{LogoutEndpoint.TicketField}={tickets.Seal(encoded)}");

    public async Task<IResult> AnswerAsync(HttpContext context, string encoded)
    {
        var who = await Browser.SignedInAsync(context);
        if (!(await requests.ReadAsync(encoded, context.RequestAborted)).TryGet(out var request, out var fault))
            return await RefuseAsync(fault.Code, fault.Message, who);
        // 2. Nobody is signed in, or whoever asks was there when they did.
        if (who is null || request.IsFor(who.Session))
            return await EndAsync(context, request, who);
        // 3. The person decides.
        return PageResult.Of<LogoutPage>("Do you want to sign out?", new Dictionary<string, object>
        {
            [nameof(LogoutPage.Ticket)] = tickets.Seal(encoded), [nameof(LogoutPage.Client)] = request.Client is { } client ? ShownText.Name(client.Name) : "",
            [nameof(LogoutPage.Name)] = who.Person.Name, [nameof(LogoutPage.Email)] = who.Person.Email ?? "",
        }) with { LeadsOut = request.Redirect is not null };
    }

    /// <summary>After the person said so.</summary>
    public async Task<IResult> EndAsync(HttpContext context, string encoded, SignedIn? who) =>
        (await requests.ReadAsync(encoded, context.RequestAborted)).TryGet(out var request, out var fault) ? await EndAsync(context, request, who) : await RefuseAsync(fault.Code, fault.Message, who);

    public async Task<IResult> RefuseAsync(string reason, string why, SignedIn? who = null)
    {
        await audit.RefuseAsync(audit.Refusal(AuditTypes.SignedOut, reason) with { User = who?.Person.Id }, []);
        return PageResult.Error(StatusCodes.Status400BadRequest, "You were not signed out here", $"{why} You can sign out on your account page.");
    }

    private async Task<IResult> EndAsync(HttpContext context, LogoutRequest request, SignedIn? who)
    {
        if (who is not null)
            await log.Commit(new EndSession(who.Session.Id, time.GetUtcNow(), options.Node));
        await Browser.SignOutAsync(context);
        return request.Redirect is { } address ? new SeeOther(address) : PageResult.Of<SignedOutPage>("You are signed out");
    }
}
