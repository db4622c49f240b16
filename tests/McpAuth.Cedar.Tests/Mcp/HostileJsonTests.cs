using System.Text;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Mcp.AgentCore;
using McpAuth.Cedar.Mcp.ToolHive;
using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Tests.Mcp;

/// <summary>Whatever bytes come as schema, arguments or claims: they are answered, nothing is thrown.</summary>
public class HostileJsonTests
{
    private const string Schema = """{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"anyOf":[{"type":"integer"},{"$ref":"#/$defs/c"}]},"c":{"enum":["x",1]},"d":{"type":"array","items":{"type":"number"}}},"required":["a"],"$defs":{"c":{"const":null}}}""";
    private const string Arguments = """{"amount":100,"order":"o-9","tags":["a","b"],"to":{"iban":"X","country":"CH"},"note":null,"rate":0.25,"urgent":false}""";
    private const string Claims = """{"sub":"a","groups":["g"],"scope":"x y","n":1.5,"deep":{"a":[{"b":null}]},"realm_access":{"roles":["r"]}}""";

    private static readonly string[] Pieces = ["\\ud800", "\\u0061", "\"", "{", "}", "[", "]", "null", "1e999", ",", ":", "\"amount\":", "\"type\":\"\\ud800\"", "\"\\ud800\"", "\0", "😀", "-", "\\", "\n"];

    private static readonly Gen<(int Kind, int At, int Length)[]> Edits =
        (from kind in Gen.Choose(0, Pieces.Length + 2) from at in Gen.Choose(0, 400) from length in Gen.Choose(0, 30) select (kind, at, length)).ArrayOf().Resize(5);

    [Fact]
    public void Schema_OfAnyBytes_IsAnswered() => Answers(Schema, 3000, bytes =>
    {
        InputType input = InputTypes.Of(bytes);
        Assert.InRange(input.Notes.Count, 0, Limits.Errors);
        Assert.True(ToolServerModel.Create([new McpTool("t", bytes)]).Ok);
        return input.Type.Attributes.Count > 0;
    });

    [Fact]
    public void Arguments_OfAnyBytes_AreAnswered()
    {
        ToolCallAuthorizer[] authorizers =
        [
            Tools.Authorizer("""permit(principal, action, resource) when { context.input.amount == 100 && context.input has to && context.input.to has country && context.input has tags && context.input.tags.contains("a") && context.input has rate && context.input.rate == decimal("0.25") };"""),
            Tools.Authorizer("""permit(principal, action, resource) when { context.input == context.input };"""),
            Tools.Authorizer("""permit(principal, action, resource) when { context == context };"""),
        ];
        ToolServerModel hive = ToolHiveProfile.Model([new("refund")]).Value;
        ToolCallAuthorizer[] loose =
        [
            new(PolicySet.Parse("""permit(principal, action, resource) when { resource has arg_order && context has arg_to_present && context has arg_amount };""").Value, hive),
            new(PolicySet.Parse("""permit(principal, action, resource) when { context == context };""").Value, hive),
        ];
        var response = new AuthorizationResponse();
        Answers(Arguments, 3000, bytes =>
        {
            bool allowed = false;
            foreach (ToolCallAuthorizer authorizer in authorizers) allowed |= authorizer.Call(bytes).Decision == Decision.Allow;
            foreach (ToolCallAuthorizer authorizer in loose)
                allowed |= authorizer.Authorize(new ToolCall { Principal = new("Client", "a"), Tool = "refund", Arguments = bytes }, EntityStore.Empty, response) == Decision.Allow;
            return allowed;
        });
    }

    [Fact]
    public void Claims_OfAnyBytes_AreAnswered() => Answers(Claims, 2000, bytes =>
    {
        var claims = new ToolHiveClaims { GroupClaim = "realm_access.roles", MultiValued = ["scope"] };
        return AgentCoreProfile.OAuthUser(bytes).Ok & claims.Principal(bytes).Ok;
    });

    private static void Answers(string text, int times, Func<byte[], bool> read)
    {
        int taken = 0, refused = 0;
        Prop.ForAll(Edits.ToArbitrary(), edits =>
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            foreach ((int kind, int at, int length) in edits)
            {
                int from = Math.Min(at, bytes.Length), to = Math.Min(from + length, bytes.Length);
                byte[] piece = kind < Pieces.Length ? Encoding.UTF8.GetBytes(Pieces[kind])
                    : kind == Pieces.Length ? [0xff]
                    : kind == Pieces.Length + 1 ? []
                    : bytes[(bytes.Length / 2)..Math.Min(bytes.Length, (bytes.Length / 2) + length)];
                bytes = [.. bytes[..from], .. piece, .. bytes[(kind % 2 == 0 ? from : to)..]];
            }
            _ = read(bytes) ? taken++ : refused++;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(times));
        Assert.True(taken > times / 50 && refused > times / 50, $"{taken} taken, {refused} refused: the generator proves little");
    }
}
