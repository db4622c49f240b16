using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Device;

/// <summary>The person's side of the device grant (RFC 8628 §3.3): the code they type, and what they are asked then.</summary>
public class DevicePageTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC8628-3.3")]
    public async Task Person_NotSignedIn_SignsInBetweenCodeAndQuestion()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);

        var signIn = await browser.FollowAsync(await browser.FollowAsync(await browser.TypeAsync(device.UserCode)));
        var onward = await browser.PostFormAsync(signIn, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password }, Names.Paths.SignIn);
        var page = await browser.FollowAsync(await browser.FollowAsync(onward));

        Assert.Contains(device.UserCode, page.Text, StringComparison.Ordinal);
        Assert.Contains("Continue only if you started this yourself", page.Text, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.3.1")]
    public async Task CompleteAddress_FillsTheCodeInAndDecidesNothing()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var page = await browser.GetAsync(new Uri(device.VerificationUriComplete).PathAndQuery);

        Assert.Equal(device.UserCode, page.Form(Names.Paths.Device)["user_code"]);
        Assert.Equal(Names.Device.AuthorizationPending, await s.ErrorAsync(device));
    }

    [Theory]
    [InlineData("lower")]
    [InlineData("without the dash")]
    [InlineData("with blanks")]
    [Trait("Spec", "RFC8628-6.1")]
    public async Task UserCode_TypedAsPeopleType_IsTaken(string how)
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var typed = how switch { "lower" => device.UserCode.ToLowerInvariant(), "with blanks" => $" {device.UserCode.Replace('-', ' ')} ", _ => device.UserCode.Replace("-", "", StringComparison.Ordinal) };

        Assert.StartsWith("/consent?", (await new TestBrowser(server).TypeAsync(typed)).Location, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("BCDF-GHJK")]
    [InlineData("")]
    [InlineData("aaaa-aaaa")]
    [InlineData("BCDF-GHJK' or '1'='1")]
    [InlineData("<script>alert(1)</script>")]
    [Trait("Spec", "RFC8628-5.1")]
    public async Task UserCode_OfNoDevice_IsRefusedAndRecorded(string typed)
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var page = await new TestBrowser(server).TypeAsync(typed);

        Assert.Equal((HttpStatusCode.BadRequest, null), (page.Status, page.Location));
        Assert.DoesNotContain("<script", page.Html, StringComparison.Ordinal);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.DeviceRefused, "unknown_code");
    }

    [Fact]
    public async Task Code_TypedIntoAFormOfAnotherSite_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var page = await browser.PostAsync(Names.Paths.Device, [new("user_code", device.UserCode)]);

        Assert.Equal(HttpStatusCode.Forbidden, page.Status);
    }

    [Fact]
    public async Task Page_ShownToOnePerson_IsNotAnotherPersonsToAnswer()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var device = await s.BeginAsync();
        var (mine, theirs) = (new TestBrowser(server), new TestBrowser(server));
        await mine.SignInAsync(s.Person);
        await theirs.SignInAsync(other.Person);
        var page = await mine.AskedAsync(device);
        var own = await theirs.GetAsync(Names.Paths.Account);

        var fields = page.Form(Names.Paths.Consent).Fields.Where(f => f.Key != "csrf").Append(new("csrf", own.Forms[0]["csrf"]!)).Append(new("decision", "allow"));
        var answer = await theirs.PostAsync(Names.Paths.Consent, fields);

        Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
        Assert.Equal(Names.Device.AuthorizationPending, await s.ErrorAsync(device));
    }

    [Fact]
    [Trait("Spec", "RFC8628-5.4")]
    public async Task Consent_ThroughADevice_IsNeverRemembered()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await browser.AnswerAsync(await s.BeginAsync(), "allow");

        var again = await browser.AskedAsync(await s.BeginAsync());

        Assert.Equal(HttpStatusCode.OK, again.Status);
        Assert.NotNull(again.Form(Names.Paths.Consent));
    }

    [Fact]
    public async Task Answer_GivenInTwoWindows_CountsOnce()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var (first, second) = (await browser.AskedAsync(device), await browser.AskedAsync(device));

        await browser.PostFormAsync(first, new() { ["decision"] = "deny" }, Names.Paths.Consent);
        var late = await browser.PostFormAsync(second, new() { ["decision"] = "allow" }, Names.Paths.Consent);

        Assert.Equal(HttpStatusCode.BadRequest, late.Status);
        Assert.Equal(Names.Errors.AccessDenied, await s.ErrorAsync(device));
    }

    [Fact]
    public void UserCodes_AreOfLettersThatMakeNoWords()
    {
        var codes = Enumerable.Range(0, 500).Select(_ => UserCode.New()).ToList();
        Assert.All(codes, code => Assert.Equal(code, UserCode.Read(code)));
        Assert.Equal(codes.Count, codes.Distinct().Count());
        Assert.Equal(20, codes.SelectMany(c => c).Where(c => c != '-').Distinct().Count());
    }
}
